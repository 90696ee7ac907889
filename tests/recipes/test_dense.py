"""A run whose network ends with a head over feature maps: built, trained in two phases, searched, evaluated."""

from pathlib import Path
from typing import Any

import pytest
import torch

from snnet.data import class_weights
from snnet.errors import DataError, RecipeError, SNNetError
from snnet.network import load
from snnet.recipes import Recipe, build_parts, open_run, run_demo
from snnet.table import StitchTable, frontier_gain, select
from snnet.tasks import Segmentation

SMALL: dict[str, Any] = {
    "network.anchors": ["swin_fm_tiny", "swin_fm_base"],
    "data.name": "scenes/64",
    "routes.images": 16,
    "routes.budgets": 4,
    "routes.cuts": 1,
    "calibration.images": 16,
    "first.steps": 2,
    "run.steps": 2,
    "evaluation.budgets": [],
    "run.trackers": [],
}


def small(**more: Any) -> Recipe:
    return Recipe.load("embedded_swin_segmentation", {**SMALL, **more})


def test_a_run_from_anchors_to_a_table_of_scores(tmp_path: Path) -> None:
    with open_run(small(), tmp_path) as run:
        table = run.finish()
    assert table is not None and table.score == "miou" and len(table) >= 3
    net = load(tmp_path)
    assert net.task == Segmentation() and net.num_classes == 11 and net.classes[0] == "ground"
    assert {"miou", "pixel_accuracy", "loss", "miou_half0", "miou_half1", "macs"} <= set(table.columns)
    assert net.table is not None and select(net.table) in net.space
    assert frontier_gain(StitchTable.load(tmp_path / "table.jsonl")).frontier.score == "miou"
    # Once more: all is there already.
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    with open_run(small(), tmp_path) as run:
        again = run.finish()
    assert again is not None and [row.values for row in again] == [row.values for row in table]
    assert all(torch.equal(value, weights[name]) for name, value in load(tmp_path).state_dict().items())


def test_the_first_phase_trains_anchors_and_head_and_the_search_comes_behind(tmp_path: Path) -> None:
    with open_run(small(), tmp_path) as run:
        net = run.parts.net
        before = {name: value.clone() for name, value in net.state_dict().items()}
        run.initialize()
        after = net.state_dict()
        moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
        assert any(name.startswith("head.") for name in moved) and any(name.startswith("anchors.1.") for name in moved)
        assert any(not stitch.is_anchor for stitch in net.space)
        assert not any("head.fc" in name for name in moved), "the anchors' own classifiers are not used"


def test_the_first_phase_may_train_the_head_alone(tmp_path: Path) -> None:
    with open_run(small(**{"first.optim.freeze": "anchors"}), tmp_path) as run:
        before = {name: value.clone() for name, value in run.parts.net.state_dict().items()}
        run.train_first()
        after = run.parts.net.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert moved and all(name.startswith(("head.", "layers.tap")) for name in moved)


def test_a_demo_ends_with_masks_at_its_budgets(tmp_path: Path) -> None:
    recipe = small(**{"evaluation.budgets": [9e6, 2e7], "evaluation.every_images": 4})
    result = run_demo(tmp_path, recipe=recipe, steps=1)
    assert result.after.score == "miou" and set(result.choices) == {9e6, 2e7}
    assert result.files["masks.png"].is_file() and result.gain.frontier.score == "miou"
    page = result.files["index.html"].read_text()
    assert "beside the truth" in page and "data:image/png;base64," in page


def test_depth_is_a_target_too() -> None:
    recipe = small(**{"data.target": "depth"})
    parts = build_parts(recipe)
    assert parts.net.num_classes == 1 and parts.net.task.scores[0] == "rmse"
    images, depths = next(iter(parts.validation))
    assert depths.shape == (len(images), 56, 56) and torch.isfinite(parts.net.task.loss(parts.net(images), depths))


def test_weights_of_classes_are_told_by_the_training_masks(tmp_path: Path) -> None:
    recipe = small(**{"task.options": {"class_weights": "median"}})
    parts = build_parts(recipe)
    expected = class_weights(parts.images, 11)
    assert parts.net.task == Segmentation(class_weights=expected.tolist()) and expected.min() < 1 < expected.max()
    with open_run(recipe, tmp_path):
        pass
    # What goes on is compared by the word.
    assert Recipe.load(tmp_path / "recipe.yaml").task.options == {"class_weights": "median"}
    with open_run(recipe, tmp_path):
        pass


def test_whole_pictures_are_a_setting(tmp_path: Path) -> None:
    recipe = small(**{"evaluation.windows": "slide", "evaluation.stitches": "anchors"})
    assert recipe.evaluation.windows.kind == "slide"
    assert Recipe.load(recipe.save(tmp_path / "recipe.yaml")) == recipe
    with open_run(recipe, tmp_path / "run") as run:
        table = run.evaluate(tmp_path / "table.jsonl")
    assert table.meta["evaluation"]["windows"] == "slide 0.666667"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"evaluation.windows": "slid"}, RecipeError, "evaluation.windows.kind: .*got 'slid'.*Did you mean 'slide'"),
        ({"task.options": {"class_weights": "mean"}}, RecipeError, "does not take these settings"),
        ({"task.options": {"class_weights": [1, 2]}}, SNNetError, "2 class weights for 11 classes"),
        (
            {"task.options": {"class_weights": "median"}, "data.target": "depth"},
            RecipeError,
            "class_weights='median' are told by masks, and data.target is depth",
        ),
        ({"head": None}, RecipeError, "data.target is mask, and anchors give one answer for an image: give a head"),
        ({"head.name": "linaer"}, RecipeError, "'linaer'.*'linear'"),
        ({"head.options": {"hiden": 3}}, SNNetError, "no option 'hiden'"),
        ({"head.taps": 5}, SNNetError, "taps=5 of an anchor with 4 stages"),
        ({"first.steps": 0}, RecipeError, "--first.steps"),
        ({"task.name": "segmentatoin"}, RecipeError, "'segmentatoin'.*'segmentation'"),
        ({"task.options": {"ignored": 3}}, RecipeError, "does not take these settings"),
        ({"augment.image": {}, "augment.dense": {}}, RecipeError, "image is for labels and dense for masks"),
        ({"network.image_size": 30}, SNNetError, "30"),
        ({"data.target": "masks"}, RecipeError, "target"),
        ({"data.name": "embedded"}, DataError, "mask"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_parts(small(**changes))
