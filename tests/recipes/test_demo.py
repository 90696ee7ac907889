import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest

import snnet
from snnet import StitchTable
from snnet.anchors import EMBEDDED_FAMILIES
from snnet.cli.demo import Family
from snnet.errors import BudgetError, RecipeError
from snnet.recipes import DemoResult, Recipe, run_demo
from snnet.recipes.demo import FAMILIES
from snnet.table import frontier_gain
from snnet.utils import Progress

QUICK = {
    "network.pretrained": False,
    "calibration.images": 8,
    "data.batch_size": 8,
    "run.steps": 2,
    "run.trackers": [],
    "run.threads": 1,
    "sampler.images": 8,
    "optim.warmup_epochs": 0,
    "evaluation.images": 12,
}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def stages() -> list[str]:
    return []


@pytest.fixture(scope="module")
def result(output: Path, stages: list[str]) -> DemoResult:
    @contextmanager
    def stage(title: str) -> Iterator[Progress]:
        stages.append(title)
        yield lambda done, total, note: None

    return run_demo(output, recipe=Recipe.load("embedded_vit", QUICK), stage=stage)


def test_all_stitches_are_evaluated_before_and_after(result: DemoResult) -> None:
    for table in (result.before, result.after):
        assert len(table) == 71 and {"macs", "params", "top1"} <= set(table.columns)
    assert len(result.anchor_losses) == 3
    assert result.fit is not None and result.fit.images == 8


def test_it_shows_before_and_after(result: DemoResult) -> None:
    shown, page = repr(result), result._repr_html_()
    assert shown.startswith("DemoResult(") and "top-1 % before" in shown and "63 more" in shown
    assert page.count("<tr>") == 51 and "top-1 % before" in page
    assert f"{result.before[0].top1:.2f}" in shown


def test_every_stage_is_shown(result: DemoResult, stages: list[str]) -> None:
    scoring = ["Scoring for the sampler"]
    assert stages == ["Least squares", "Evaluating all, before", *scoring, "Training", "Evaluating all, after"]


def test_network_curve_and_page_are_written(result: DemoResult, output: Path) -> None:
    for path in (result.files["curve.png"], result.files["index.html"], output / "model.safetensors"):
        assert path.stat().st_size > 0
    net = snnet.load(output)
    assert net.select(macs=1e9) == max(result.after, key=lambda row: (row.top1, -row.macs)).route


def test_the_gain_is_over_the_anchors_as_they_came(result: DemoResult, output: Path) -> None:
    hits = StitchTable.load(output / "table.jsonl").hits
    assert hits is not None and hits.before == result.before.anchors.hits.bits
    assert result.gain == frontier_gain(result.after) == frontier_gain(result.after, hits)
    assert result.gain.anchors.images == 12 and len(hits) == 71


def test_three_budgets(result: DemoResult) -> None:
    assert len(result.choices) == 3
    assert all(row.macs <= budget for budget, row in result.choices.items())


def test_again_takes_what_is_there(result: DemoResult, output: Path) -> None:
    said: list[str] = []
    again = run_demo(output, recipe=Recipe.load("embedded_vit", QUICK), say=said.append)
    assert any("Resuming after step 2 of 2" in message for message in said)
    assert again.fit is None
    assert again.after.column("loss") == result.after.column("loss")
    assert again.before.column("loss") == result.before.column("loss")


def test_another_seed_needs_another_directory(result: DemoResult, output: Path) -> None:
    with pytest.raises(RecipeError, match=r"run\.seed was 0 and is 1"):
        run_demo(output, recipe=Recipe.load("embedded_vit", QUICK), seed=1)


def test_a_kill_before_the_first_checkpoint_keeps_the_first_evaluation(
    result: DemoResult, output: Path, tmp_path: Path
) -> None:
    notes: list[str] = []
    killed_in = "Training"

    @contextmanager
    def stage(title: str) -> Iterator[Progress]:
        if title == killed_in:
            raise KeyboardInterrupt
        yield lambda done, total, note: notes.append(note)

    shutil.copy(output / "before.jsonl", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_demo(tmp_path, recipe=Recipe.load("embedded_vit", QUICK), stage=stage)
    assert "71 of 71 stitches were evaluated before" in notes
    killed_in = "Scoring for the sampler"  # right after the evaluation
    with pytest.raises(KeyboardInterrupt):
        run_demo(tmp_path, recipe=Recipe.load("embedded_vit", QUICK), seed=1, stage=stage)
    assert "of 71" not in notes[-1]
    assert StitchTable.load(tmp_path / "before.jsonl").meta["evaluation"] != result.before.meta["evaluation"]


@pytest.mark.parametrize(
    ("family", "count"), [("cnn", 8), pytest.param("swin", 17, marks=pytest.mark.slow), ("cnn-vit", 8)]
)
def test_every_family_goes_the_whole_way(family: str, count: int, tmp_path: Path) -> None:
    stages: list[str] = []

    @contextmanager
    def stage(title: str) -> Iterator[Progress]:
        stages.append(title)
        yield lambda done, total, note: None

    quick = Recipe.load(FAMILIES[family], {**QUICK, "recalibration.images": 16})
    result = run_demo(tmp_path, recipe=quick, stage=stage)
    assert len(result.after) == count and result.choices.keys() == set(quick.evaluation.budgets)
    # Before training too, but where what lies behind the cuts is a Swin.
    assert stages.count("Recalibrating") == {"cnn": 2, "cnn-vit": 1, "swin": 0}[family]
    assert len(snnet.load(tmp_path).statistics) == 0 if family == "swin" else len(snnet.load(tmp_path).statistics) > 0


def test_recipes_and_command_know_the_families_that_come_with_the_package() -> None:
    anchors = {family: Recipe.load(name).network.anchors for family, name in FAMILIES.items()}
    assert anchors == EMBEDDED_FAMILIES
    assert get_args(Family) == tuple(FAMILIES)


def test_a_budget_that_nothing_fits_is_refused_before_the_work(tmp_path: Path) -> None:
    recipe = Recipe.load("embedded_cnn", {**QUICK, "evaluation.budgets": ["10"]})
    with pytest.raises(BudgetError, match="The lowest macs there is"):
        run_demo(tmp_path, recipe=recipe)
    assert not (tmp_path / "before.jsonl").exists()
