import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import snnet
from snnet.errors import RecipeError
from snnet.recipes.paper import EXPERIMENTS, Bench, Outcome, perform
from snnet.utils import Progress
from tests.recipes.paper.conftest import QUICK

ROUTES = {"deit": 71, "swin": 17, "resnet": 8, "resnet-swin": 8, "levit": 8, "alone": 9, "nearest": 71}
# What needs all three anchors; the others make do with two, and 36 routes.
WHOLE = ("deit", "swin", "resnet", "resnet-swin", "levit", "alone", "nearest")
TWO = {**QUICK, "network.anchors": "vit_fm_tiny,vit_fm_small"}


def quick(name: str, output: Path, **options: object) -> Outcome:
    settings = QUICK if name in WHOLE else TWO
    settings = {k: v for k, v in settings.items() if not (name == "calibration" and k == "calibration.images")}
    return perform(EXPERIMENTS[name], Bench(output, overrides=settings, **options))  # type: ignore[arg-type]


# The others differ from these in settings alone, and `test_catalogue` reads the recipes of all.
FAST = ("resnet",)
NAMES = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in EXPERIMENTS]


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_goes_the_whole_way(name: str, output: Path) -> None:
    outcome = quick(name, output)
    experiment = EXPERIMENTS[name]
    assert list(outcome.tables) == list(dict.fromkeys(variant.label for variant in experiment.variants))
    assert len(next(iter(outcome.tables.values()))) == ROUTES.get(name, 36)
    assert all("top1" in row.values for table in outcome.tables.values() for row in table)
    assert len(outcome.verdict.findings) == len(experiment.claims)
    assert all(finding.left is not None and finding.right is not None for finding in outcome.verdict.findings)
    assert [path.name for path in outcome.files] == [f"{name}{suffix}" for suffix in (".png", ".svg", ".md", ".jsonl")]
    assert all(path.stat().st_size > 0 for path in outcome.files)


def test_the_page_says_what_was_found(output: Path) -> None:
    outcome = quick("deit", output)
    text = (output / "deit.md").read_text()
    assert f"**Verdict: {outcome.verdict.words}**" in text
    assert all(str(finding) in text for finding in outcome.verdict.findings)
    assert "| published (ImageNet-1K) | 71 |" in text and "70.56 / 79.46 / 81.93" in text
    assert "![Stitches of three plain ViTs](deit.png)" in text and "8 test images" in text


def test_numbers_stand_beside_the_published_ones(output: Path) -> None:
    outcome = quick("deit", output)
    lines = [json.loads(line) for line in (output / "deit.jsonl").read_text().splitlines()]
    assert len(lines) == 71 + 71 + 3
    first = next(line for line in lines if line["stitch"] == "0:0-9,1:9-12")
    assert first["published_top1"] == 72.6
    assert first["top1"] == outcome.tables["SN-Net"]["0:0-9,1:9-12"].top1


@pytest.mark.slow
def test_table_1_shows_both_columns_of_the_paper(output: Path) -> None:
    outcome = quick("alone", output)
    text = (output / "alone.md").read_text()
    here = [f"{outcome.tables[label]['1:0-6,2:6-12'].top1:.2f}" for label in ("together", "alone")]
    assert f"| 0 / 6 / 6 | {here[0]} | {here[1]} | 81.5 | failed |" in text


def test_what_is_finished_is_not_repeated(output: Path) -> None:
    first = quick("resnet", output)
    stages: list[str] = []

    @contextmanager
    def stage(title: str) -> Iterator[Progress]:
        stages.append(title)
        yield lambda done, total, note: None

    again = quick("resnet", output, stage=stage)
    assert stages == []
    assert [table.column("top1") for table in again.tables.values()] == [
        table.column("top1") for table in first.tables.values()
    ]


def test_equal_runs_are_one(output: Path) -> None:
    bench = Bench(output, overrides=QUICK)
    plans = {v.label: bench.plan(v).directory for v in EXPERIMENTS["initialization"].variants}
    assert plans["Kaiming, trained"] == plans["Kaiming, not trained"] != plans["least squares, trained"]
    assert plans["least squares, trained"] == bench.plan(EXPERIMENTS["deit"].variants[0]).directory
    elsewhere = Bench(output, overrides={**QUICK, "run.threads": 3, "run.log_every": 1, "evaluation.images": 20})
    assert elsewhere.plan(EXPERIMENTS["deit"].variants[0]).directory == plans["least squares, trained"]
    assert bench.plan(EXPERIMENTS["layerdrop"].variants[1]) != bench.plan(EXPERIMENTS["layerdrop"].variants[2])


def test_a_trained_network_can_be_loaded(output: Path) -> None:
    outcome = quick("resnet", output)
    directory = Bench(output, overrides=QUICK).plan(EXPERIMENTS["resnet"].variants[0]).directory
    net = snnet.load(directory)
    assert net.table is not None and net.table.column("top1") == outcome.tables["SN-Net"].column("top1")


@pytest.mark.slow
def test_after_a_kill_the_result_is_the_same(tmp_path: Path) -> None:
    settings = {**TWO, "run.steps": 4, "run.save_every": 2}
    variant = EXPERIMENTS["deit"].variants[0]
    whole = Bench(tmp_path / "whole", overrides=settings).scores(variant)

    @contextmanager
    def stage(title: str) -> Iterator[Progress]:
        def stop(done: int, total: int, note: str) -> None:
            if title == "Training" and done == 3:
                raise KeyboardInterrupt

        yield stop

    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        Bench(tmp_path / "cut", overrides=settings, stage=stage).scores(variant)
    again = Bench(tmp_path / "cut", overrides=settings, say=said.append).scores(variant)
    assert any("Resuming after step 2 of 4" in message for message in said)
    assert again.column("loss") == whole.column("loss")


def test_more_images_evaluate_again_without_training_again(output: Path) -> None:
    variant = EXPERIMENTS["resnet"].variants[0]
    quick("resnet", output)
    stages: list[str] = []

    @contextmanager
    def stage(title: str) -> Iterator[Progress]:
        def note(done: int, total: int, text: str) -> None:
            stages.append(title)

        yield note

    table = Bench(output, overrides={**QUICK, "evaluation.images": 20}, stage=stage).scores(variant)
    assert table.meta["images"] == 20
    assert "Evaluating" in stages and "Training" not in stages


def test_an_override_of_what_a_variant_sets_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"'slow to fast' sets network\.direction itself"):
        perform(EXPERIMENTS["direction"], Bench(tmp_path, overrides={"network.direction": "both"}))
    assert not (tmp_path / "runs").exists()


def test_lengths_are_multiples_of_the_length_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, overrides={"run.steps": "40"})
    assert [bench.plan(variant).recipe.run.steps for variant in EXPERIMENTS["epochs"].variants] == [12, 40, 80]
    full = Bench(tmp_path, "imagenet")
    assert [full.plan(variant).recipe.run.epochs for variant in EXPERIMENTS["epochs"].variants] == [15, 50, 100]
    alone = [full.plan(variant).recipe for variant in EXPERIMENTS["alone"].variants][2:]
    assert {recipe.run.epochs for recipe in alone} == {300}
    assert not any(recipe.network.pretrained for recipe in alone)
