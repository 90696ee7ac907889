"""Commands run in this process, on a tiny saved network."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from snnet.cli import main
from snnet.profiling import count_costs
from tests.conftest import build_tiny_net


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*tokens: object) -> Outcome:
        code = main([str(token) for token in tokens])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("master") / "net"
    net = build_tiny_net()
    count_costs(net)
    net.save_pretrained(directory)
    return directory


@pytest.fixture
def saved(master: Path, tmp_path: Path) -> Path:
    """A saved network of three 4-block ViTs for 28x28 grey images, with the costs of its stitches."""
    return Path(shutil.copytree(master, tmp_path / "net"))
