"""Killed before every operation on a file: what is read afterwards is the old or the new state, whole."""

import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from snnet.export import EXPORTS, export_stitch
from snnet.export.bundle import MANIFEST, Bundle, write_bundle
from snnet.network import SNNet, load
from snnet.table import StitchRow, StitchTable
from snnet.training.checkpoint import CheckpointStore
from snnet.utils import write_beside, write_folder
from tests.bundles import build_small_net
from tests.training.killable import build_trainer

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
KILLED, MOST = 9, 200
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}


def is_killed(work: Callable[[], object], folder: Path, number: int) -> bool:
    """Do work in a process that ends, without tidying up, before change `number` of a file below a folder.

    Returns:
        Whether it came that far.
    """
    child = os.fork()
    if child == 0:
        left = number

        def watch(event: str, args: tuple[Any, ...]) -> None:
            nonlocal left
            changes = event in CHANGES or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            if changes and str(args[0]).startswith(str(folder)):
                if left == 0:
                    os._exit(KILLED)
                left -= 1

        try:
            sys.addaudithook(watch)
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


def read_after_every_kill(
    work: Callable[[Path], object], read: Callable[[Path], object], before: Path, folder: Path, every: int = 1
) -> list[object]:
    """Return what is read after a kill before each change that `work` makes in a copy of a folder; then it is repeated.

    What was left behind must be gone after that.
    """
    seen: list[object] = []
    for number in count(step=every):
        shutil.copytree(before, folder)
        killed = is_killed(lambda: work(folder), folder, number)
        seen.append(read(folder))
        work(folder)
        assert not [path for path in folder.rglob(".*") if path.name != ".keep"]
        assert read(folder) == "new"
        shutil.rmtree(folder)
        if not killed:
            break
    assert 3 < len(seen) < MOST
    return seen


@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_saving_a_network(every: int, tmp_path: Path) -> None:
    nets = {"old": build_small_net(), "new": build_small_net()}
    images = torch.randn(1, *nets["old"].input.size)
    for score, net in enumerate(nets.values()):
        torch.nn.init.constant_(net.anchor(0).model.head.weight, 0.1 + score)
        net.table = StitchTable([StitchRow(0, str(net.space[0]), {"top1": float(score)})])
    nets["old"].save_pretrained(tmp_path / "old")

    def read(folder: Path) -> str:
        net = load(folder)
        assert net.table is not None
        name = ("old", "new")[int(net.table[0].top1)]
        assert torch.equal(net(images, 0), nets[name](images, 0))
        return name

    seen = read_after_every_kill(nets["new"].save_pretrained, read, tmp_path / "old", tmp_path / "net", every)
    assert seen[0] == "old" and seen[-1] == "new" and seen == sorted(seen, reverse=True)


def test_writing_a_bundle(written: Path, tmp_path: Path) -> None:
    """The graphs themselves are written into the folder that takes the place of the old one, where nobody reads."""

    def read(folder: Path) -> str:
        bundle = Bundle.open(folder)
        return "old" if bundle.classes is None else "new"

    def write(folder: Path) -> None:
        before = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        with write_folder(folder, last=MANIFEST, gone=before) as fresh:
            shutil.copytree(written, fresh, dirs_exist_ok=True)

    old = Path(__file__).with_name("version_0_1") / "bundle"
    seen = read_after_every_kill(write, read, old, tmp_path / "bundle")
    assert set(seen) == {"old", "new"}


def test_writing_a_table(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    row = StitchRow(0, "0:0-2", {"macs": 1})
    StitchTable([row]).save(tmp_path / "old" / "table.jsonl")
    new = StitchTable([row, StitchRow(1, "1:0-2", {"macs": 2})])

    def read(folder: Path) -> str:
        return "old" if len(StitchTable.load(folder / "table.jsonl")) == 1 else "new"

    seen = read_after_every_kill(
        lambda folder: new.save(folder / "table.jsonl"), read, tmp_path / "old", tmp_path / "run"
    )
    assert set(seen) == {"old", "new"}


def placing(format: str, new: Path, name: str) -> Callable[[Path], None]:
    """Return what puts the files of an export into a folder."""

    def work(folder: Path) -> None:
        with write_beside(folder / name, EXPORTS.get(format)().place) as written:
            shutil.copytree(new, written.parent, dirs_exist_ok=True)

    return work


@pytest.mark.parametrize("sizes", [(3, 5), (9000, 5), (5, 9000)])
def test_graph_and_weights_of_openvino(sizes: tuple[int, int], tmp_path: Path) -> None:
    """Read as OpenVINO does: the graph says where in the weights each tensor lies."""
    tensors = {what: [what[:1].encode() * size, b"end"] for what, size in zip(("old", "new"), sizes, strict=True)}
    for what, (first, second) in tensors.items():
        (tmp_path / what).mkdir()
        (tmp_path / what / "net.bin").write_bytes(first + second)
        data = [(0, len(first)), (len(first), len(second))]
        graph = "".join(f'<data shape="2" offset="{begin}" size="{size}" /> offset="7"' for begin, size in data)
        (tmp_path / what / "net.xml").write_text(f"{what}{graph}")

    def read(folder: Path) -> str:
        graph, weights = (folder / "net.xml").read_text(), (folder / "net.bin").read_bytes()
        found = re.findall(r'<data shape="2" offset="(\d+)" size="(\d+)" /> offset="7"', graph)
        assert tensors[graph[:3]] == [weights[int(begin) :][: int(size)] for begin, size in found]
        return graph[:3]

    work = placing("openvino", tmp_path / "new", "net.xml")
    seen = read_after_every_kill(work, read, tmp_path / "old", tmp_path / "net")
    assert seen[0] == "old" and seen[-1] == "new" and seen == sorted(seen, reverse=True)
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "net.xml").write_text("half of an export")
    work(tmp_path / "net")
    written = {file.name: file.read_bytes() for file in (tmp_path / "net").iterdir()}
    assert written == {file.name: file.read_bytes() for file in (tmp_path / "new").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize(("format", "name"), [("openvino", "net.xml"), ("onnx", "net.onnx")])
@pytest.mark.parametrize(("old", "new"), [(0, 1), (1, 0)])
def test_several_files_of_an_export(
    old: int, new: int, format: str, name: str, small_net: SNNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graph and weights: whichever is larger, whoever opens them finds what one stitch computes."""
    pytest.importorskip({"onnx": "onnxruntime"}.get(format, format))
    monkeypatch.setattr("snnet.export.files.LARGEST", 0)
    kind = EXPORTS.get(format)()
    images = torch.randn(1, *small_net.input.size)
    for what, stitch in (("old", old), ("new", new)):
        export_stitch(small_net, stitch, tmp_path / what / name)
        assert len(list((tmp_path / what).iterdir())) == 2

    def read(folder: Path) -> str:
        opened = kind.read(folder / name)
        what = {small_net.space[old].id: "old", small_net.space[new].id: "new"}[opened.facts["snnet.stitch"]]
        stitch = {"old": old, "new": new}[what]
        torch.testing.assert_close(opened.run(images), small_net(images, stitch).detach(), rtol=1e-4, atol=1e-5)
        return what

    work = placing(format, tmp_path / "new", name)
    seen = read_after_every_kill(work, read, tmp_path / "old", tmp_path / "net")
    assert seen[0] == "old" and seen[-1] == "new" and seen == sorted(seen, reverse=True)


def test_writing_a_checkpoint(tmp_path: Path) -> None:
    CheckpointStore(tmp_path / "old", {"a": 1}, keep=1).save(1, {"weight": torch.ones(3)})

    def work(folder: Path) -> None:
        store = CheckpointStore(folder, {"a": 1}, keep=1)
        store.claim(resume=True)
        store.save(2, {"weight": torch.full((3,), 2.0)})

    def read(folder: Path) -> str:
        newest = CheckpointStore(folder, {"a": 1}).load_newest()
        assert newest is not None and torch.equal(newest.state["weight"], torch.full((3,), float(newest.step)))
        return ("old", "new")[newest.step - 1]

    assert set(read_after_every_kill(work, read, tmp_path / "old", tmp_path / "run")) == {"old", "new"}


@pytest.mark.slow
def test_exporting_a_stitch(small_net: SNNet, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "old").mkdir()
    export_stitch(small_net, 0, tmp_path / "old" / "net.onnx")

    def read(folder: Path) -> str:
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / "net.onnx", providers=["CPUExecutionProvider"])
        stitch = session.get_modelmeta().custom_metadata_map["snnet.stitch"]
        return {"0:0-2": "old", "1:0-2": "new"}[stitch]

    def work(folder: Path) -> None:
        export_stitch(small_net, 1, folder / "net.onnx")

    assert set(read_after_every_kill(work, read, tmp_path / "old", tmp_path / "run")) == {"old", "new"}


@pytest.mark.slow
def test_training(tmp_path: Path) -> None:
    """The log may lack what the killed process had not written; weights equal those of a run that nobody killed."""

    def train(folder: Path) -> dict[str, torch.Tensor]:
        trainer = build_trainer(folder)
        trainer.fit(resume=True, progress=False)
        return trainer.net.state_dict()

    expected = train(tmp_path / "whole")
    for number in count(step=3):
        killed = is_killed(lambda: train(tmp_path / "run"), tmp_path / "run", number)
        for name, tensor in train(tmp_path / "run").items():
            assert torch.equal(tensor, expected[name])
        assert not list((tmp_path / "run").rglob(".*"))
        shutil.rmtree(tmp_path / "run")
        if not killed:
            break
    assert 9 < number < MOST


@pytest.mark.slow
def test_exporting_a_bundle(small_net: SNNet, tmp_path: Path) -> None:
    """Every change, from the first step's graph on; what comes after the graphs is killed by default, above."""
    pytest.importorskip("onnxruntime")

    def read(folder: Path) -> str:
        bundle = Bundle.open(folder)
        return "old" if bundle.classes is None else "new"

    def work(folder: Path) -> None:
        write_bundle(small_net, folder, ["0:0-2"], progress=False)

    old = Path(__file__).with_name("version_0_1") / "bundle"
    assert set(read_after_every_kill(work, read, old, tmp_path / "bundle")) == {"old", "new"}
