from pathlib import Path

import pytest

import snnet
from snnet.table import StitchTable
from tests.cli.conftest import Run


def test_one_model_becomes_several_networks(run: Run, tmp_path: Path) -> None:
    net = tmp_path / "one"
    found = run("search", "vit_fm_tiny", "--output", net, "--images", "24", "--budgets", "6", "--cuts", "1")
    assert found.code == 0, found.err
    assert "stitches chosen among 56 candidates" in found.out.replace("\n", " ") and "0:0-12" in found.out
    loaded = snnet.load(net)
    assert len(loaded.anchors) == 1 and 1 < len(loaded.space) <= 7
    assert len(StitchTable.load(net / "search.jsonl")) == 56
    assert (net / "search.png").read_bytes().startswith(b"\x89PNG")
    assert all("macs" in row.values for row in loaded.table or [])
    # A saved network is searched anew, and stays as it is.
    again = run("stitch", net, "--images", "24", "--budgets", "2", "--cuts", "1", "--labels")
    assert again.code == 0 and len(snnet.load(tmp_path / "one-searched").space) <= 3, again.err
    assert len(snnet.load(net).space) == len(loaded.space)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vit_fm_tiny"], "is no saved network; say where to: --output DIR"),
        ([], "Nothing is no saved network"),
        (["vit_fm_tiny", "--output", "x", "--cuts", "5"], "cuts"),
        (["vit_fm_tiny", "--output", "x", "--kernel-size", "3"], "has no windows"),
        (["vit_fm_tiny", "--output", "x", "--cost", "energy_mj"], "cost"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    run: Run, arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run("search", *arguments)
    assert found.code == 2 and words in " ".join(found.err.split()), found.err
    assert not (tmp_path / "x").exists()
