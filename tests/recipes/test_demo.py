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
from snnet.recipes import DemoResult, Recipe, Watching, build_parts, run_demo, run_one
from snnet.recipes.demo import FAMILIES, _affordable
from snnet.searching import SearchReport
from snnet.table import frontier_gain
from snnet.utils import Progress

QUICK = {
    "network.pretrained": False,
    "calibration.images": 8,
    "routes.images": 16,
    "routes.budgets": 6,
    "routes.cuts": 1,
    "data.batch_size": 8,
    "run.steps": 2,
    "run.trackers": [],
    "run.threads": 1,
    "optim.warmup_epochs": 0,
    "evaluation.images": 12,
    "evaluation.every": 1,
}


class Told:
    """Notes what a demo tells."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []
        self.said: list[str] = []
        self.first: list[StitchTable] = []
        self.looks: list[tuple[int, StitchTable]] = []
        self.stop_in = ""

    @contextmanager
    def stage(self, title: str) -> Iterator[Progress]:
        if title == self.stop_in:
            raise KeyboardInterrupt
        self.stages.append(title)
        yield lambda done, total, note: self.notes.append(note)

    @property
    def watching(self) -> Watching:
        return Watching(
            self.stage, self.said.append, self.first.append, lambda step, table: self.looks.append((step, table))
        )


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def result(output: Path, told: Told) -> DemoResult:
    return run_demo(output, recipe=Recipe.load("embedded_vit", QUICK), watching=told.watching)


def test_all_stitches_are_evaluated_before_and_after(result: DemoResult, output: Path) -> None:
    stitches = len(snnet.load(output).space)
    assert stitches > 3
    for table in (result.before, result.after):
        assert len(table) == stitches and {"macs", "params", "top1"} <= set(table.columns)
    assert len(result.anchor_losses) == 3
    assert isinstance(result.fit, SearchReport) and result.fit.images == (8, 8)


def test_it_shows_before_and_after(result: DemoResult) -> None:
    shown, page = repr(result), result._repr_html_()
    assert shown.startswith("DemoResult(") and "top-1 % before" in shown
    assert page.count("<tr>") == 1 + len(result.after) and "top-1 % before" in page
    assert f"{result.before[0].top1:.2f}" in shown


def test_every_stage_is_shown(result: DemoResult, told: Told) -> None:
    assert told.stages == ["Searching", "Evaluating all, before", "Training", "Evaluating all, after"]


def test_the_first_frontier_and_every_look_are_told(result: DemoResult, told: Told) -> None:
    assert [table.column("loss") for table in told.first] == [result.before.column("loss")]
    assert [step for step, _ in told.looks] == [0, 1, 2]
    assert all(len(table) == len(result.after) and table.column("macs") for _, table in told.looks)
    # All of the few images are looked at.
    assert told.looks[0][1].column("top1") == pytest.approx(result.before.column("top1"))
    assert told.looks[-1][1].column("top1") == pytest.approx(result.after.column("top1"))


def test_as_many_steps_are_done_as_there_is_time_for(result: DemoResult, output: Path, tmp_path: Path) -> None:
    # What is begun keeps its steps.
    run_demo(output, recipe=Recipe.load("embedded_vit", {**QUICK, "run.steps": 3}), minutes=100)
    assert "steps: 2" in (output / "recipe.yaml").read_text()
    recipe, told = Recipe.load("embedded_vit", {**QUICK, "run.steps": 22, "evaluation.every": 11}), Told()
    short = run_demo(tmp_path, recipe=recipe, minutes=1e-3, watching=told.watching)
    assert "Training" not in told.stages and "No time is left for 100 steps" in told.said[-1]
    assert short.after.column("loss") == short.before.column("loss") == snnet.load(tmp_path).table.column("loss")
    assert short.after.hits == short.before.hits and not (tmp_path / "checkpoints").exists()
    assert _affordable(build_parts(recipe), 1e6) == 22 and _affordable(build_parts(recipe), -1.0) == 0


def test_one_model_alone_is_not_trained(tmp_path: Path) -> None:
    table, files = run_one(tmp_path, family="cnn", changes={**QUICK, "network.pretrained": True})
    assert [row.stitch for row in table.anchors] == ["0:0-10"] and len(table) > 1
    assert not (tmp_path / "log.jsonl").exists() and files["index.html"].is_file()
    assert snnet.load(tmp_path).select(macs=1e9) == max(table, key=lambda row: (row.top1, -row.macs)).route


def test_network_curve_and_page_are_written(result: DemoResult, output: Path) -> None:
    for path in (result.files["curve.png"], result.files["index.html"], output / "model.safetensors"):
        assert path.stat().st_size > 0
    net = snnet.load(output)
    assert net.select(macs=1e9) == max(result.after, key=lambda row: (row.top1, -row.macs)).route


def test_the_gain_is_over_the_anchors_as_they_came(result: DemoResult, output: Path) -> None:
    hits = StitchTable.load(output / "table.jsonl").hits
    assert hits is not None and hits.before == result.before.anchors.hits.bits
    assert result.gain == frontier_gain(result.after) == frontier_gain(result.after, hits)
    assert result.gain.anchors.images == 12 and len(hits) == len(result.after)


def test_three_budgets(result: DemoResult) -> None:
    assert len(result.choices) == 3
    assert all(row.macs <= budget for budget, row in result.choices.items())


def test_again_takes_what_is_there(result: DemoResult, output: Path) -> None:
    told = Told()
    again = run_demo(output, recipe=Recipe.load("embedded_vit", QUICK), watching=told.watching)
    assert any("Resuming after step 2 of 2" in message for message in told.said)
    assert again.fit is None
    assert again.after.column("loss") == result.after.column("loss")
    assert again.before.column("loss") == result.before.column("loss")


def test_another_seed_needs_another_directory(result: DemoResult, output: Path) -> None:
    with pytest.raises(RecipeError, match=r"run\.seed was 0 and is 1"):
        run_demo(output, recipe=Recipe.load("embedded_vit", QUICK), seed=1)


def test_a_kill_before_the_first_checkpoint_keeps_the_first_evaluation(
    result: DemoResult, output: Path, tmp_path: Path
) -> None:
    told, count = Told(), len(result.before)
    told.stop_in = "Training"
    shutil.copy(output / "before.jsonl", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_demo(tmp_path, recipe=Recipe.load("embedded_vit", QUICK), watching=told.watching)
    assert f"{count} of {count} stitches were evaluated before" in told.notes
    told.notes.clear()
    with pytest.raises(KeyboardInterrupt):
        run_demo(tmp_path, recipe=Recipe.load("embedded_vit", QUICK), watching=told.watching)
    assert told.stages.count("Searching") == 1, "what was found is kept"
    told.notes.clear()
    with pytest.raises(KeyboardInterrupt):
        run_demo(tmp_path, recipe=Recipe.load("embedded_vit", QUICK), seed=1, watching=told.watching)
    assert not any("were evaluated before" in note for note in told.notes)
    assert StitchTable.load(tmp_path / "before.jsonl").meta["evaluation"] != result.before.meta["evaluation"]


@pytest.mark.parametrize("family", ["cnn", pytest.param("swin", marks=pytest.mark.slow), "cnn-vit"])
def test_every_family_goes_the_whole_way(family: str, tmp_path: Path) -> None:
    told, quick = Told(), Recipe.load(FAMILIES[family], {**QUICK, "recalibration.images": 16})
    result = run_demo(tmp_path, recipe=quick, watching=told.watching)
    assert len(result.after) > 3 and result.choices.keys() == set(quick.evaluation.budgets)
    # Where cuts lead into the Swins alone, there is nothing to recalibrate.
    net = snnet.load(tmp_path)
    led_into = {net.anchor(cut.back).name for stitch in net.space for cut in stitch.cuts}
    normed = any(name.startswith("resnet") for name in led_into)
    assert normed if family == "cnn" else not normed if family == "swin" else True
    assert ("Recalibrating" in told.stages) == (len(net.statistics) > 0) == normed


def test_recipes_and_command_know_the_families_that_come_with_the_package() -> None:
    anchors = {family: Recipe.load(name).network.anchors for family, name in FAMILIES.items()}
    assert anchors == EMBEDDED_FAMILIES
    assert get_args(Family) == tuple(FAMILIES)


def test_a_budget_that_nothing_fits_is_refused_before_the_work(tmp_path: Path) -> None:
    recipe = Recipe.load("embedded_cnn", {**QUICK, "evaluation.budgets": ["10"]})
    with pytest.raises(BudgetError, match="The lowest macs there is"):
        run_demo(tmp_path, recipe=recipe)
    assert not (tmp_path / "before.jsonl").exists()
