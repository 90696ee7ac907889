import argparse
import collections
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snnet.anchors import read_tensors
from snnet.errors import CheckpointError

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(3)}


class Config(dict[str, Any]):
    """Like yacs' CfgNode, which Swin's training script saves: a dict with attributes of its own."""

    def __init__(self, **entries: Any) -> None:
        super().__init__(entries)
        self.__dict__["frozen"] = True


class Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 3


class Runs:
    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("wrap", [{"model": STATE}, {"state_dict": STATE}, STATE], ids=["model", "state_dict", "bare"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_state_is_found_wherever_it_stands(wrap: Any, prefix: str, tmp_path: Path) -> None:
    state = {prefix + name: tensor for name, tensor in STATE.items()}
    torch.save(state if wrap is STATE else dict.fromkeys(wrap, state), tmp_path / "file.pth")
    found = read_tensors(tmp_path / "file.pth")
    assert list(found) == list(STATE)
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


def test_an_entry_without_tensors_is_no_state(tmp_path: Path) -> None:
    torch.save({"model": "resnet18_50", "state_dict": STATE}, tmp_path / "file.pth")
    assert list(read_tensors(tmp_path / "file.pth")) == list(STATE)


@pytest.mark.parametrize(
    "other",
    [
        argparse.Namespace(lr=0.1, data=argparse.Namespace(root=Path("/data"))),
        Config(MODEL=Config(NAME="swin"), EPOCHS=[1, 2]),
        Slotted(),
        np.float64(81.2),
        np.arange(4),
        collections.defaultdict(list, losses=[1.0]),
        torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1).state_dict(),
        print,
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_objects_of_the_file_are_passed_over(other: object, tmp_path: Path) -> None:
    torch.save({"epoch": 3, "args": other, "model": STATE}, tmp_path / "file.pth")
    found = read_tensors(tmp_path / "file.pth")
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("inside", [False, True], ids=["beside", "inside"])
@pytest.mark.parametrize("function", [os.system, subprocess.getoutput, eval, exec])
def test_nothing_that_the_file_says_is_run(function: Any, inside: bool, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    command = f"open({str(marker)!r}, 'w')" if function in (eval, exec) else f"touch {marker}"
    evil = Runs(function, command)
    content = {"model": {**STATE, "evil": evil}} if inside else {"model": STATE, "args": evil}
    torch.save(content, tmp_path / "file.pth")
    if inside or function is os.system:
        with pytest.raises(CheckpointError, match=r"what is no tensor in it: 'evil'\.|cannot be read safely"):
            read_tensors(tmp_path / "file.pth")
    else:
        assert list(read_tensors(tmp_path / "file.pth")) == list(STATE)
    assert not marker.exists()
    function(command)
    assert marker.exists(), "the payload must be one that works"


def test_what_holds_no_state_dict_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        read_tensors(path)
    path.write_text("no archive")
    with pytest.raises(CheckpointError, match=r"is no archive as torch\.save writes them since torch 1\.6"):
        read_tensors(path)
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="or not all of it is there"):
        read_tensors(path)
    torch.save({"model": {**STATE, "depth": 12, 3: STATE["a.count"]}}, path)
    with pytest.raises(CheckpointError, match=r"what is no tensor in it: 'depth'; 3\."):
        read_tensors(path)
    torch.save({"epoch": 3, "weights": STATE}, path)
    with pytest.raises(CheckpointError, match=r"It holds the keys 'epoch', 'weights'\."):
        read_tensors(path)
    torch.save({"model": torch.nn.Linear(2, 2)}, path)
    with pytest.raises(CheckpointError, match="is a dict of tensors"):
        read_tensors(path)
    torch.save({"args": Runs(os.system, "true"), "model": STATE}, path)
    with pytest.raises(CheckpointError, match=r"(posix|nt)\.system whose module (posix|nt) is blocked"):
        read_tensors(path)


def test_a_flipped_bit_is_found_by_the_checksum_of_the_archive(tmp_path: Path) -> None:
    torch.save({"model": {"weight": torch.arange(1000.0)}}, tmp_path / "net.pth")
    content = bytearray((tmp_path / "net.pth").read_bytes())
    place = content.find(torch.arange(500.0, 520.0).numpy().tobytes())
    content[place + 3] ^= 1
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is damaged: its record \w+/data/0 does not have the checksum"):
        read_tensors(tmp_path / "net.pth")


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    """torch's list of safe names is one for the process."""
    args = argparse.Namespace(lr=1.0)
    torch.save({"model": {"weight": torch.ones(3)}, "args": args}, tmp_path / "net.pth")
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: read_tensors(tmp_path / "net.pth"), range(64)))
    assert all(torch.equal(state["weight"], torch.ones(3)) for state in read)
