"""Files of one stitch: each format runs alone, says what it is, and takes its place only if it is right."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from snnet.errors import DataError, ExportError, ExtraError, RecipeError
from snnet.export import EXPORTS, ExportFormat, OpenedFile, export_stitch
from snnet.init import recalibrate
from snnet.network import SNNet
from snnet.table import StitchRow, StitchTable
from tests.batch_norm_family import build_conv_net
from tests.conftest import build_tiny_net
from tests.helpers.routes import build_free_net

STITCH = "0:0-2,1:2-4"
FILES = {"torch": "a.pt2", "onnx": "a.onnx", "openvino": "a.xml"}
NEEDS = {"onnx": "onnxruntime", "openvino": "openvino"}


@pytest.fixture(scope="module")
def net() -> SNNet:
    net = build_tiny_net()
    net.classes = ("<a>", 'b "c"', *map(str, range(8)))
    net.table = StitchTable([StitchRow(net.space.index(net.space.find(STITCH)), STITCH, {"top1": 61.5})])
    return net


@pytest.mark.parametrize("format", FILES)
def test_written_checked_and_described(net: SNNet, format: str, tmp_path: Path) -> None:
    if format in NEEDS:
        pytest.importorskip(NEEDS[format])
    path = tmp_path / "deep" / FILES[format]
    report = export_stitch(net, STITCH, path)
    assert (report.path, report.format, report.stitch.id) == (path, format, STITCH)
    assert set(report.errors) == {"random", "real"} and max(report.errors.values()) < 1e-5
    companions = {path.name, "a.bin"} if format == "openvino" else {path.name}
    assert {file.name for file in path.parent.iterdir()} == companions
    assert report.nbytes == sum(file.stat().st_size for file in path.parent.iterdir())
    opened = EXPORTS.get(format)().read(path)
    facts = {name: opened.facts[f"snnet.{name}"] for name in ("stitch", "input", "classes", "measured", "versions")}
    assert facts["stitch"] == STITCH and json.loads(facts["classes"]) == list(net.classes or ())
    assert json.loads(facts["input"])["size"] == [1, 28, 28] and json.loads(facts["measured"]) == {"top1": 61.5}
    assert json.loads(facts["versions"])["torch"] == torch.__version__
    for count in (1, 6):
        images = torch.randn(count, 1, 28, 28)
        torch.testing.assert_close(opened.run(images), net(images, STITCH).detach(), rtol=1e-4, atol=1e-5)


def test_without_this_library(net: SNNet, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    export_stitch(net, 5, tmp_path / "a.pt2", progress=lambda *step: told.append(step))
    assert told == [(0, 2, "writing"), (1, 2, "comparing"), (2, 2, "")]
    images = torch.randn(4, 1, 28, 28)
    plain = torch.export.load(tmp_path / "a.pt2").module()
    torch.testing.assert_close(plain(images), net(images, 5))


def test_statistics_of_the_stitch_are_in_the_file(tmp_path: Path) -> None:
    net = build_conv_net()
    images = torch.randn(16, *net.input.size)
    recalibrate(net, images)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train().double()
    report = export_stitch(net, 4, tmp_path / "a.pt2", images=images)
    assert report.errors["real"] < 1e-5
    program = torch.export.load(tmp_path / "a.pt2")
    assert {value.dtype for value in program.state_dict.values()} <= {torch.float32, torch.int64}
    norms = [node for node in program.graph.nodes if "batch_norm" in str(node.target)]
    assert len(norms) == 1, "all but the one after the pooling are folded"
    assert net.training and all(torch.equal(v.to(before[n]), before[n]) for n, v in net.state_dict().items())


class Wrong(ExportFormat):
    """Computes something else, as told."""

    suffix = ".wrong"
    answer = torch.zeros(10)

    def write(self, module: nn.Module, images: Tensor, path: Path, facts: Mapping[str, str]) -> None:
        path.write_text(json.dumps(dict(facts)))

    def read(self, path: Path) -> OpenedFile:
        return OpenedFile(lambda images: self.answer.expand(len(images), -1), json.loads(path.read_text()))


@pytest.mark.parametrize("answer", [0.0, float("nan")])
def test_a_wrong_file_takes_no_place(
    net: SNNet, answer: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EXPORTS, "_entries", {**EXPORTS._entries})
    EXPORTS.register("wrong")(Wrong)
    monkeypatch.setattr(Wrong, "answer", torch.full((10,), answer))
    path = tmp_path / "a.wrong"
    path.write_text("before")
    with pytest.raises(ExportError, match=rf"a\.wrong does not compute what the network does for stitch {STITCH}"):
        export_stitch(net, STITCH, path)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_metadata_that_is_lost_is_noticed(net: SNNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EXPORTS, "_entries", {"wrong": Wrong})
    monkeypatch.setattr(Wrong, "write", lambda self, module, images, path, facts: path.write_text("{}"))
    with pytest.raises(ExportError, match=r"metadata of a\.wrong"):
        export_stitch(net, 0, tmp_path / "a.wrong")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("missing", "file"), [("onnxscript", "a.onnx"), ("openvino", "a.xml")])
def test_a_package_that_is_not_there(
    net: SNNet, missing: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ExtraError, match=rf"needs {missing}, which is not installed; pip install 'snnet\["):
        export_stitch(net, 0, tmp_path / file)
    assert not list(tmp_path.iterdir())


def test_bad_requests(net: SNNet, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"does not tell a format; .*\.onnx \(onnx\)"):
        export_stitch(net, 0, tmp_path / "a.tflite")
    with pytest.raises(ExportError, match=r"call it a\.onnx"):
        export_stitch(net, 0, tmp_path / "a.pt2", format="onnx")
    with pytest.raises(RecipeError, match=r"Unknown export format 'onx'; accepted: .*'onnx'"):
        export_stitch(net, 0, tmp_path / "a.onnx", format="onx")
    with pytest.raises(DataError, match=r"shape \(2, 3, 28, 28\); expected float images \(N, 1, 28, 28\)"):
        export_stitch(net, 0, tmp_path / "a.pt2", images=torch.zeros(2, 3, 28, 28))
    with pytest.raises(DataError, match=r"are torch.uint8; expected float images"):
        export_stitch(net, 0, tmp_path / "a.pt2", images=torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    with pytest.raises(DataError, match="There is no image to compare on"):
        export_stitch(net, 0, tmp_path / "a.pt2", images=torch.zeros(0, 1, 28, 28))
    assert not list(tmp_path.iterdir())


def test_large_weights_lie_beside(net: SNNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("snnet.export.files.LARGEST", 1000)
    others = {"b.onnx.data", "a.onnx.mine.data"}
    for name in ("a.onnx.data", *others):
        (tmp_path / name).touch()
    seen = set()
    for _ in range(2):
        report = export_stitch(net, STITCH, tmp_path / "a.onnx")
        assert (tmp_path / "a.onnx").exists() and others < {file.name for file in tmp_path.iterdir()}
        (data,) = (file for file in tmp_path.iterdir() if file.name not in {"a.onnx", *others})
        assert data.stat().st_size > report.nbytes / 2
        seen.add(data.name)
    assert len(seen) == 2, "weights bear a name that no earlier graph knows"
    images = torch.randn(2, 1, 28, 28)
    found = EXPORTS.get("onnx")().read(tmp_path / "a.onnx").run(images)
    torch.testing.assert_close(found, net(images, STITCH).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("format", ["torch", *(pytest.param(name, marks=pytest.mark.slow) for name in NEEDS)])
def test_blocks_that_run_twice_are_there_once(format: str, tmp_path: Path) -> None:
    if format in NEEDS:
        pytest.importorskip(NEEDS[format])
    net, stitch = build_free_net(2), "1:0-1,0:1-2,1:0-1,0:1-4"
    report = export_stitch(net, stitch, tmp_path / FILES[format])
    assert report.stitch.id == stitch and max(report.errors.values()) < 1e-4
    if format == "torch":
        images = torch.randn(3, 1, 28, 28)
        found = torch.export.load(tmp_path / FILES[format])
        torch.testing.assert_close(found.module()(images), net(images, stitch), rtol=1e-5, atol=1e-5)
        assert sum(p.numel() for p in found.state_dict.values()) == sum(p.numel() for p in net.parameters_of(stitch))
