from pathlib import Path

import pytest
import yaml

from snnet.errors import RecipeError
from snnet.training.recipe import Recipe
from snnet.training.recipe_file import packaged_recipes

LEAST = {"network": {"anchors": ["vit_fm_tiny", "vit_fm_small"]}, "run": {"steps": 3}}


def write(folder: Path, content: object) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("name", packaged_recipes())
def test_the_packaged_recipes_are_whole(name: str) -> None:
    assert Recipe.load(name).network.anchors


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, {**LEAST, "optim": {"lr": 1e-3, "weight_decay": 0.1}})
    recipe = Recipe.load(
        path,
        {
            "optim.lr": "1e-4",
            "loss.teacher.kind": "soft",
            "optim.betas": "0.9,0.95",
            "run.steps": None,
            "run.epochs": "2",
        },
    )
    assert recipe.optim.lr == 1e-4 and recipe.optim.weight_decay == 0.1
    assert recipe.optim.betas == (0.9, 0.95)
    assert recipe.loss.teacher is not None and recipe.loss.teacher.kind == "soft"
    assert recipe.run.epochs == 2 and recipe.run.steps is None


def test_numbers_without_a_point_are_numbers(tmp_path: Path) -> None:
    # YAML 1.1 reads 1e-4 as text.
    path = tmp_path / "recipe.yaml"
    path.write_text("network: {anchors: [a, b]}\nrun: {steps: 3}\noptim: {lr: 1e-4}\n")
    assert Recipe.load(path).optim.lr == 1e-4


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "network": {"anchors": ["a", "b"], "kernel_sise": 3, "stride": 0},
            "optim": {"lr": "fast", "optimizer": "adam", "nesterov": 3.5},
            "sampler": {"name": "unifrom"},
            "smoothing": 0.1,
            "run": {"epochs": 3, "steps": 4},
            "data": "folder",
            "evaluation": {"budgets": ["much"]},
        },
    )
    with pytest.raises(RecipeError) as caught:
        Recipe.load(path, {"calibration.images": "0", "augment.mix.prob": "yes"})
    text = str(caught.value)
    assert text.startswith(f"{path} has 12 faults:")
    for part in (
        "network.kernel_sise: unknown key. Did you mean 'kernel_size'?",
        "network.stride: should be greater than or equal to 1, got 0",
        "data: must be a section of settings, got 'folder'",
        "calibration.images",
        "augment.mix.prob",
        "optim.optimizer: should be 'adamw' or 'sgd', got 'adam'",
        "optim.lr",
        "optim.nesterov",
        "Did you mean 'uniform'?",
        "run: give either epochs or steps",
        "evaluation.budgets.0",
        "smoothing: unknown key. Did you mean 'loss.smoothing'?",
    ):
        assert part in text, part


@pytest.mark.parametrize("value", [True, False])
def test_yes_and_no_are_no_numbers(tmp_path: Path, value: bool) -> None:
    with pytest.raises(RecipeError, match="no value here"):
        Recipe.load(write(tmp_path, {**LEAST, "optim": {"lr": value}}))


def test_an_override_cannot_go_through_a_value(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"optim\.lr\.x: lr is 0\.1, not a section"):
        Recipe.load(write(tmp_path, {**LEAST, "optim": {"lr": 0.1}}), {"optim.lr.x": 1})


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({}, "either anchors"),
        ({"anchors": ["a", "b"], "saved": "net"}, "either anchors"),
        ({"saved": "net", "stride": 2}, "leave out stride"),
    ],
)
def test_one_source_of_the_network(tmp_path: Path, network: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Recipe.load(write(tmp_path, {"network": network, "run": {"steps": 3}}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1, 2", "line 1, column 9"),
        ("- 1\n- 2\n", "list, not a mapping"),
        ("", "is empty"),
        ("\xff\xfe", "not a text file"),
    ],
)
def test_files_that_are_no_recipe(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RecipeError, match=words):
        Recipe.load(path)


def test_a_missing_file_names_the_packaged_recipes() -> None:
    with pytest.raises(RecipeError, match=r"deit_ti_s_b.*Did you mean 'embedded_vit'"):
        Recipe.load("embeded_vit.yaml")


def test_what_is_saved_reads_back_equal(tmp_path: Path) -> None:
    recipe = Recipe.load("deit_ti_s_b", {"data.root": "/data"})
    assert Recipe.load(recipe.save(tmp_path / "recipe.yaml")) == recipe


def test_a_saved_network_reads_back_too(tmp_path: Path) -> None:
    recipe = Recipe.load(write(tmp_path, {"network": {"saved": "net"}, "run": {"steps": 3}}))
    assert Recipe.load(recipe.save(tmp_path / "again.yaml")) == recipe


@pytest.mark.parametrize(("inside", "given"), [("epochs", "steps"), ("steps", "epochs")])
def test_an_override_of_the_length_replaces_the_other_one(tmp_path: Path, inside: str, given: str) -> None:
    path = write(tmp_path, {**LEAST, "run": {inside: 3}})
    run = Recipe.load(path, {f"run.{given}": "5"}).run
    assert (getattr(run, given), getattr(run, inside)) == (5, None)
    with pytest.raises(RecipeError, match="give either epochs or steps"):
        Recipe.load(path, {"run.steps": "5", "run.epochs": "5"})


def test_an_override_with_nothing_leaves_the_other_length(tmp_path: Path) -> None:
    assert Recipe.load(write(tmp_path, LEAST), {"run.epochs": None}).run.steps == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.2", 0.2),
        ("1e-4", 1e-4),
        ("-2.5E3", -2500.0),
        ("3", 3),
        ("true", True),
        ("[1, 2]", [1, 2]),
        (["1", "2e-3"], [1, 2e-3]),
        ("big", "big"),
        (0.5, 0.5),
    ],
)
def test_overrides_within_options_have_types(tmp_path: Path, text: object, value: object) -> None:
    options = Recipe.load(write(tmp_path, LEAST), {"sampler.options.share": text}).sampler.options
    assert options == {"share": value} and type(options["share"]) is type(value)


def test_options_that_are_not_yaml(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"sampler\.options\.share: '\[1' is not YAML"):
        Recipe.load(write(tmp_path, LEAST), {"sampler.options.share": "[1"})


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"first_teacher": {}}, "set teacher alone"),
        ({"teacher": {"source": "own-anchors"}, "first_teacher": {}}, "set teacher alone"),
        ({"teacher": {"source": "in-place"}, "first_teacher": {"source": "in-place"}}, "cannot teach itself"),
    ],
)
def test_the_first_teacher_goes_with_one_in_place(tmp_path: Path, loss: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Recipe.load(write(tmp_path, {**LEAST, "loss": loss}))
