"""Paths that were mistyped, and ids of the hub."""

from pathlib import Path

import pytest

from snnet.cli.sources import without_address
from snnet.network import SNNet
from tests.cli.conftest import Run
from tests.conftest import build_tiny_net


@pytest.mark.parametrize("command", ["evaluate", "cost", "space", "profile"])
def test_a_mistyped_directory_is_not_looked_for_on_the_hub(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("snnet.network.restore.snapshot_download", lambda *_, **__: pytest.fail("the hub was asked"))
    outcome = run(command, "runs/typo")
    assert outcome.code == 2
    assert "There is no network at runs/typo" in outcome.err and "hf-hub:runs/typo" in outcome.err


@pytest.mark.parametrize("source", ["hf-hub:org/name", "org/name", "https://huggingface.co/org/name/tree/main"])
def test_ids_reach_the_hub(run: Run, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    asked: list[str] = []

    def load(name: str) -> SNNet:
        asked.append(name)
        return build_tiny_net()

    monkeypatch.setattr("snnet.network.load", load)
    assert run("cost", source).code == 0
    assert asked == ["org/name"]


@pytest.mark.parametrize(
    ("pasted", "meant"),
    [
        ("https://huggingface.co/org/my-net", "hf-hub:org/my-net"),
        ("https://huggingface.co/org/my-net/", "hf-hub:org/my-net"),
        ("http://www.huggingface.co/org/net_1.0/tree/main?x=1", "hf-hub:org/net_1.0"),
        ("huggingface.co/org/net.git", "hf-hub:org/net"),
        ("https://hf.co/org/net#usage", "hf-hub:org/net"),
        ("https://example.org/org/net", "https://example.org/org/net"),
        ("runs/huggingface.co/net", "runs/huggingface.co/net"),
        ("resnet18@/w/a.pth", "resnet18@/w/a.pth"),
    ],
)
def test_a_pasted_address_of_the_hub_is_understood(pasted: str, meant: str) -> None:
    assert without_address(pasted) == meant
