"""Commands that name a run alone go through the images that it was trained on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import snnet
from snnet.cli import main
from snnet.data import ImageDataset, TensorImages
from snnet.errors import DataError, RecipeError
from snnet.export.bundle import Bundle
from snnet.recipes import Recipe, data_of_run
from snnet.space import InputSpec
from tests.cli.conftest import Outcome, Run, run  # noqa: F401

COLORS = {"blue": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30)}
INPUT = InputSpec((1, 28, 28), (0.286,), (0.353,))


def write_colors(folder: Path, per_class: int = 15) -> Path:
    random = np.random.default_rng(0)
    for name, color in COLORS.items():
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            pixels = np.clip(np.array(color) + random.normal(0, 30, (40, 50, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.jpg")
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_colors(tmp_path / "images")


@pytest.fixture
def network(tmp_path: Path, images: Path) -> Path:
    """The directory of a run, as far as its recipe goes."""
    recipe = {
        "network": {"anchors": ["a", "b"]},
        "data": {"name": "folder", "root": str(images), "batch_size": 8, "max_corrupt": 3},
        "augment": {"image": {"hflip": 0.0}, "batch": {"pad": 1}},
        "calibration": {"images": 21},
        "recalibration": {"images": 22, "batch_size": 11},
        "optim": {"lr": 0.5},
        "run": {"steps": 3, "threads": 1, "seed": 7},
        "evaluation": {"images": 5, "batch_size": 4},
    }
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path / "run"


def test_data_and_settings_are_those_of_the_run(network: Path, images: Path) -> None:
    found = data_of_run(network, {})
    recipe = found.recipe
    assert recipe.network.saved == network
    assert (recipe.data.name, recipe.data.root, recipe.data.batch_size, recipe.data.max_corrupt) == (
        "folder",
        images,
        8,
        3,
    )
    assert recipe.calibration.images == 21 and recipe.recalibration.batch_size == 11
    assert (recipe.run.threads, recipe.run.seed, recipe.run.epochs) == (1, 7, 10)
    assert recipe.augment.batch is not None and recipe.augment.batch.pad == 1
    # How it was trained is no matter of its data.
    assert recipe.optim.lr == 1e-4
    assert found.is_own and found.why == f"Data: folder under {images}, as {network / 'recipe.yaml'} says"


def test_validation_is_what_training_held_out(network: Path) -> None:
    found = data_of_run(network, {"evaluation.images": None})
    train, held_out = found.open("train", INPUT, 3), found.open("validation", INPUT, 3)
    assert isinstance(train, ImageDataset) and isinstance(held_out, ImageDataset)
    assert (len(train), len(held_out)) == (36, 9)
    parts = [{part.source.whole.paths[place] for place in part.source.places} for part in (train, held_out)]  # type: ignore[attr-defined]
    assert not parts[0] & parts[1]
    assert train.transform == train.clean_transform
    assert len(data_of_run(network, {}).open("validation", INPUT, 3)) == 5


def test_what_the_user_says_wins(network: Path, images: Path) -> None:
    recipe = data_of_run(network, {"evaluation.batch_size": 9, "data.workers": 2, "run.steps": 4}).recipe
    assert (recipe.evaluation.batch_size, recipe.data.workers, recipe.run.steps, recipe.run.epochs) == (9, 2, 4, None)
    assert recipe.data.root == images


def test_other_data_are_taken_whole_and_without_the_options_of_the_run(network: Path, images: Path) -> None:
    found = data_of_run(network, {"data.name": "folder", "data.root": str(images)})
    assert not found.is_own and found.why == f"Data: folder under {images}, as you say"
    assert found.recipe.data.max_corrupt is None and found.recipe.augment.batch is None
    assert found.recipe.evaluation.images is None and found.recipe.evaluation.batch_size == 4
    assert len(found.open("validation", INPUT, 3)) == 45
    assert len(found.open("train", INPUT, 10, any_classes=True)) == 45
    with pytest.raises(DataError, match=r"3 classes .* but the network has 10"):
        found.open("train", INPUT, 10)
    assert isinstance(data_of_run(network, {"data.name": "embedded"}).open("train", INPUT, 10), TensorImages)


def test_images_that_have_moved(network: Path, images: Path, tmp_path: Path) -> None:
    images.rename(tmp_path / "moved")
    with pytest.raises(
        DataError, match=rf"recipe\.yaml says that the images, folder, lie under {images}, and .* --root"
    ):
        data_of_run(network, {})
    found = data_of_run(network, {"data.root": str(tmp_path / "moved")})
    assert found.is_own and found.why.endswith("says but for the root that you give")
    assert len(found.open("validation", INPUT, 3)) == 5 and found.recipe.data.max_corrupt == 3


def test_a_relative_root_is_seen_from_the_working_directory(
    network: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load((network / "recipe.yaml").read_text())
    content["data"]["root"] = "images"
    (network / "recipe.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    assert len(data_of_run(network, {}).open("validation", INPUT, 3)) == 5
    monkeypatch.chdir(network)
    with pytest.raises(DataError, match=f"lie under images, and nothing is there, seen from {network}"):
        data_of_run(network, {})


def test_without_a_recipe_the_data_are_embedded_and_that_is_said(tmp_path: Path) -> None:
    found = data_of_run(tmp_path, {})
    assert found.recipe.data.name == "embedded" and not found.is_own
    why = f"Data: embedded, for no recipe.yaml says what {tmp_path} was trained on; --data and --root name others"
    assert found.why == why
    assert len(found.open("validation", INPUT, 10)) == 4000
    with pytest.raises(RecipeError, match="batch_size"):
        data_of_run(tmp_path, {"evaluation.batch_size": 0})


@pytest.fixture
def trained(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:  # noqa: F811
    """A run of two small ResNets on images that are named as users name them."""
    monkeypatch.chdir(tmp_path)
    settings = "--network.anchors resnet_fm_small,resnet_fm_base --run.steps 3 --run.threads 1 --data.batch-size 8"
    sizes = "--calibration.images 10 --recalibration.images 12 --evaluation.stitches anchors --optim.warmup-epochs 0"
    outcome = run("train", "folder", "--data.root", "images", "--output", "run", *settings.split(), *sizes.split())
    assert outcome.code == 0, outcome.err
    return tmp_path / "run"


def test_commands_that_name_only_the_run(trained: Path, tmp_path: Path, run: Run) -> None:  # noqa: F811
    def ok(*tokens: object) -> Outcome:
        outcome = run(*tokens)
        assert outcome.code == 0, outcome.err
        return outcome

    said = "Data: folder under images, as run/recipe.yaml says"
    before = snnet.StitchTable.load(trained / "table.jsonl")
    outcome = ok("evaluate", "run")
    assert said in outcome.err and "8 stitches on 9 images" in outcome.out
    table = snnet.StitchTable.load(trained / "table.jsonl")
    # The very images of the run: what was measured after training is not measured again.
    assert "2 of 8 stitches were evaluated before" in outcome.err
    assert [table[n].top1 for n in (0, 1)] == [before[n].top1 for n in (0, 1)]
    assert said in ok("evaluate", "run", "--predict", "--output", "predicted.jsonl").err

    outcome = ok("recalibrate", "run", "--output", "again")
    assert said in outcome.err and "recalibrated on 12 images" in outcome.out
    assert "Data: folder under images, as again/recipe.yaml says" in ok("evaluate", "again", "--stitches", "0").err

    outcome = ok("train", "run", "--output", "further", "--run.steps", 1, "--evaluation.stitches", "none")
    assert said in outcome.err
    recipe = Recipe.load("further/recipe.yaml")
    assert (str(recipe.data.root), recipe.data.batch_size, recipe.run.threads) == ("images", 8, 1)

    answers = [json.loads(line) for line in ok("predict", "further", "images", "--json").out.splitlines()]
    assert len(answers) == 45 and {answer["labels"][0]["name"] for answer in answers} <= set(COLORS)


def test_static_quantization_that_names_only_the_run(
    trained: Path,
    run: Run,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("onnxruntime")
    outcome = run(
        "export", "run", "--format", "onnx-bundle", "--quantize", "static", "--stitches", "0", "--output", "small"
    )
    assert outcome.code == 0, outcome.err
    assert "Data: folder under images, as run/recipe.yaml says" in outcome.err
    assert caplog.text.count("are held out for validation") == 1
    bundle = Bundle.open("small")
    assert bundle.classes == tuple(COLORS)
    assert bundle.manifest.quantization["calibration_images"] == 10  # type: ignore[index]
    assert {one.label for one in bundle.predict(sorted(Path("images").rglob("*.jpg")))} <= set(COLORS)  # type: ignore[union-attr]


def test_the_error_of_every_command_names_the_root_and_the_flag(trained: Path, tmp_path: Path, run: Run) -> None:  # noqa: F811
    Path("images").rename("moved")
    export = ["export", "run", "--format", "onnx-bundle", "--quantize", "static", "--output", "small"]
    for tokens in (["evaluate", "run"], ["recalibrate", "run"], ["train", "run", "--output", "further"], export):
        outcome = run(*tokens)
        assert outcome.code == 2
        assert "lie under images, and nothing is there" in outcome.err and "--root" in outcome.err
    assert run("evaluate", "run", "--root", "moved", "--stitches", "0").code == 0
    # A file needs no images.
    assert run("export", "run", "--stitch", "0", "--output", "stitch.pt2").code == 0
    shutil.rmtree(tmp_path / "moved")
    assert main(["predict", "run", "nothing.jpg"]) == 2


def test_pictures_for_published_networks_are_read_as_timm_reads_them(tmp_path: Path) -> None:
    published = f"deit_ti_s_b@{tmp_path / 'snnet_deit.pth'}"
    assert not data_of_run(published, {"data.name": "folder"}).recipe.data.upright
    assert data_of_run(published, {"data.upright": True}).recipe.data.upright
    assert data_of_run(tmp_path, {}).recipe.data.upright


@pytest.mark.parametrize("name", ["deit_ti_s_b", "swin_ti_s_b", "levit_192_256", "resnet_18_50", "resnet_18_swin_ti"])
def test_recipes_of_the_paper_read_pictures_as_timm_does(name: str) -> None:
    assert not Recipe.load(name).data.upright
