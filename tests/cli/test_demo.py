from pathlib import Path

import pytest

from snnet.recipes import Recipe
from snnet.table import StitchTable, frontier_gain
from tests.cli.conftest import Run
from tests.recipes.test_demo import QUICK


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Recipe.load
    small = {**QUICK, "recalibration.images": 16, "network.pretrained": True}
    monkeypatch.setattr("snnet.recipes.demo.Recipe.load", lambda name, more=None: load(name, {**small, **(more or {})}))


def test_the_demo_prints_table_choices_summary_and_paths(run: Run, tmp_path: Path, quick: None) -> None:
    outcome = run("demo", "--family", "cnn", "--output", tmp_path / "demo", "--seed", "2", "--steps", "3")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    before, after = (StitchTable.load(tmp_path / "demo" / f"{name}.jsonl") for name in ("before", "table"))
    assert lines[0] == f"Without training: {frontier_gain(before)}"
    # A heading with budgets, the anchors alone, and a line for each look: before training and after each step.
    assert lines[2].split()[0] == "step" and lines[2].count("MACs") == 6
    assert [line.split()[0] for line in lines[3:8]] == ["anchors", "0", "1", "2", "3"]
    assert float(lines[4].split()[-1]) == pytest.approx(max(before.column("top1")), abs=0.05)
    assert any(line.split()[1:2] == [after[len(after) - 1].stitch] for line in lines)
    for words in (
        "The best stitch under a budget",
        "resnet_fm_base",
        "height of the frontier",
        "gain over keeping the anchors",
    ):
        assert words in outcome.out
    gain = str(frontier_gain(after))
    assert gain in lines and f"**{gain}**" in (tmp_path / "demo" / "README.md").read_text(encoding="utf-8")
    assert str(tmp_path / "demo" / "index.html") in outcome.out
    assert "Training: 3/3" in outcome.err
    recorded = (tmp_path / "demo" / "recipe.yaml").read_text()
    assert "seed: 2" in recorded and "steps: 3" in recorded


def test_one_model_alone(run: Run, tmp_path: Path, quick: None) -> None:
    outcome = run("demo", "--model", "cnn", "--output", tmp_path / "one")
    assert outcome.code == 0, outcome.err
    table = StitchTable.load(tmp_path / "one" / "table.jsonl")
    assert all(row.stitch in outcome.out for row in table) and str(frontier_gain(table)) in outcome.out
    assert "Training" not in outcome.err and (tmp_path / "one" / "index.html").is_file()
    both = run("demo", "--model", "cnn", "--family", "vit")
    assert both.code == 2 and "give one" in both.err
