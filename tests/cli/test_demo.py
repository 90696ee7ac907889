from pathlib import Path

import pytest

from snnet.recipes import Recipe
from snnet.table import StitchTable, frontier_gain
from tests.cli.conftest import Run
from tests.recipes.test_demo import QUICK


def test_the_demo_prints_table_choices_summary_and_paths(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = Recipe.load("embedded_cnn", {**QUICK, "recalibration.images": 16})
    monkeypatch.setattr("snnet.recipes.demo.Recipe.load", lambda name: quick)
    outcome = run("demo", "--family", "cnn", "--output", tmp_path / "demo", "--seed", "2")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[8].split()[:2] == ["7", "0:0-5,1:8-10"]
    for words in ("The best stitch under a budget", "resnet_fm_base", "6 stitches, mean", "mean gap to the lines"):
        assert words in outcome.out
    gain = str(frontier_gain(StitchTable.load(tmp_path / "demo" / "table.jsonl")))
    assert lines[10] == gain and f"**{gain}**" in (tmp_path / "demo" / "README.md").read_text(encoding="utf-8")
    assert str(tmp_path / "demo" / "index.html") in outcome.out
    assert "Training: 2/2" in outcome.err
    assert "seed: 2" in (tmp_path / "demo" / "recipe.yaml").read_text()
