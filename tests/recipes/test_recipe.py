from pathlib import Path
from typing import Any

import pytest
import yaml

from snnet.errors import RecipeError
from snnet.recipes import Recipe
from snnet.recipes.recipe_file import differences, lay_over, packaged

LEAST = {"network": {"anchors": ["vit_fm_tiny", "vit_fm_small"]}, "run": {"steps": 3}}


def write(folder: Path, content: object) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("name", packaged())
def test_the_packaged_recipes_are_whole(name: str) -> None:
    assert Recipe.load(name).network.anchors


TEACHER = {"source": "own-anchors", "kind": "soft", "alpha": 0.5, "temperature": 2.0}
METHODS = {
    "default": {
        "routes": {"for_training": True},
        "loss": {"smoothing": 0.1, "teacher": TEACHER},
        "optim": {"freeze": "smallest-anchor", "anchor_lr_scale": 0.3, "betas": [0.9, 0.98], "clip_norm": 1.0},
        "sampler": {"name": "anchor-share", "options": {"share": 0.2}},
    },
    "windows": {
        "loss": {"smoothing": 0.1, "teacher": TEACHER},
        "optim": {"anchor_lr_scale": 0.3, "betas": [0.9, 0.98], "clip_norm": 1.0},
        "sampler": {"name": "weighted", "options": {"by": "need", "share": 0.15, "floor": 0.5}, "images": 256},
    },
    "paper": {
        "loss": {
            "smoothing": 0.1,
            "teacher": {"source": "largest-anchor", "kind": "hard", "alpha": 0.5, "temperature": 1.0},
        },
        "optim": {"anchor_lr_scale": 1.0, "clip_norm": None},
        "sampler": {"name": "uniform"},
    },
    "snnetv2": {
        "network": {"direction": "both", "lora_rank": 16},
        "calibration": {"images": 50},
        "loss": {},
        "optim": {"anchor_lr_scale": 1.0, "head_lr_scale": 10.0},
        "sampler": {"name": "macs-buckets"},
    },
}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_lies_under_a_file(tmp_path: Path, name: str) -> None:
    own = {"optim": {"lr": 0.01, "clip_norm": 0.5}, "loss": {"teacher": {"temperature": 3.0}}}
    found = Recipe.load(write(tmp_path, {**LEAST, "recipe": name, **own}))
    expected = Recipe.load(write(tmp_path, lay_over(LEAST, lay_over(METHODS[name], own))))
    assert set(packaged("methods")) == set(METHODS)
    assert differences(found, expected) == {"recipe": (name, None)}
    assert found.optim.clip_norm == 0.5 and found.optim.anchor_lr_scale == METHODS[name]["optim"]["anchor_lr_scale"]  # type: ignore[index]
    assert found.loss.teacher is not None and found.loss.teacher.temperature == 3.0


def test_the_method_of_sn_net_v2(tmp_path: Path) -> None:
    recipe = Recipe.load(write(tmp_path, {**LEAST, "recipe": "snnetv2"}))
    assert recipe.routes is None and recipe.network.direction == "both" and recipe.network.lora_rank == 16
    assert recipe.calibration.images == 50 and recipe.sampler.name == "macs-buckets"
    assert recipe.optim.head_lr_scale == 10.0 and recipe.loss.teacher is None


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("embedded_vit", {"lr": 1e-3}),
        ("embedded_cnn", {"lr": 1e-3, "anchor_lr_scale": 0.25}),
        ("embedded_swin", {"lr": 5e-4}),
        ("embedded_cnn_vit", {"lr": 2e-3, "anchor_lr_scale": 0.2}),
    ],
)
def test_the_embedded_recipes_are_the_default_method_with_few_changes(name: str, own: dict[str, Any]) -> None:
    recipe = Recipe.load(name)
    assert recipe.loss.model_dump(exclude_defaults=True) == {
        "smoothing": 0.1,
        "teacher": {"kind": "soft", "alpha": 1.0, "temperature": 2.0},
    }
    assert recipe.loss.teacher is not None and recipe.loss.teacher.source == "own-anchors"
    assert recipe.optim.model_dump(exclude_defaults=True) == {
        "freeze": "smallest-anchor",
        "anchor_lr_scale": 0.3,
        **own,
        "betas": (0.9, 0.98),
        "warmup_epochs": 0.25,
        "clip_norm": 1.0,
    }
    assert (recipe.sampler.name, recipe.sampler.options) == ("anchor-share", {"share": 0.2})
    assert recipe.routes is not None and recipe.routes.for_training


@pytest.mark.parametrize("name", ["embedded_vit", "embedded_cnn", "embedded_cnn_vit", "deit_ti_s_b"])
def test_a_method_given_as_an_override_wins_over_the_file(name: str) -> None:
    paper = Recipe.load(name, {"recipe": "paper"})
    assert (paper.sampler.name, paper.sampler.options) == ("uniform", {})
    assert paper.optim.anchor_lr_scale == 1.0 and paper.optim.clip_norm is None and paper.optim.freeze == "nothing"
    assert paper.loss.teacher is not None and paper.loss.teacher.source == "largest-anchor"
    # What the method says nothing of stays, and other overrides win.
    assert paper.optim.lr == Recipe.load(name).optim.lr and paper.network == Recipe.load(name).network
    flags = {"recipe": "paper", "optim.anchor_lr_scale": "0.1", "loss.teacher.source": "regnety_160.deit_in1k"}
    changed = Recipe.load(name, flags)
    assert set(differences(changed, paper)) == {"optim.anchor_lr_scale", "loss.teacher.source"}


def test_options_go_with_the_name_of_the_sampler(tmp_path: Path) -> None:
    path = write(tmp_path, {**LEAST, "recipe": "default", "sampler": {"name": "sandwich"}})
    assert Recipe.load(path).sampler.options == {}
    assert Recipe.load("embedded_vit", {"sampler.name": "uniform"}).sampler.options == {}
    flags = {"sampler.name": "sandwich", "sampler.options.random": "3"}
    assert Recipe.load("embedded_vit", flags).sampler.options == {"random": 3}
    assert Recipe.load("embedded_vit", {"sampler.name": "anchor-share"}).sampler.options == {"share": 0.2}
    assert Recipe.load("embedded_vit", {"sampler.options.share": "0.3"}).sampler.options == {"share": 0.3}


@pytest.mark.parametrize("overrides", [{}, {"recipe": "paper"}, {"loss.teacher": None, "sampler.name": "uniform"}])
def test_a_recipe_with_a_method_reads_back_equal(tmp_path: Path, overrides: dict[str, object]) -> None:
    recipe = Recipe.load("embedded_cnn", overrides)
    assert Recipe.load(recipe.save(tmp_path / "recipe.yaml")) == recipe


def test_faults_beside_a_method_name_the_right_keys(tmp_path: Path) -> None:
    content = {**LEAST, "recipe": "papr", "optim": {"lrr": 1}, "loss": {"teacher": {"kind": "mild"}}}
    with pytest.raises(RecipeError) as caught:
        Recipe.load(write(tmp_path, content))
    text = str(caught.value)
    assert "3 faults" in text
    assert (
        "recipe: there is no method 'papr'; accepted: default, paper, snnetv2, windows. Did you mean 'paper'?" in text
    )
    assert "optim.lrr: unknown key. Did you mean 'lr'?" in text and "loss.teacher.kind: should be" in text
    with pytest.raises(RecipeError, match=r"recipe\.yaml has a fault:\n  recipe: should be a valid string"):
        Recipe.load(write(tmp_path, {**LEAST, "recipe": ["paper"]}))
    with pytest.raises(RecipeError, match=r"has a fault:\n  loss: must be a section"):
        Recipe.load(write(tmp_path, {**LEAST, "recipe": "paper", "loss": "labels"}))


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


def test_a_missing_file_names_the_packaged() -> None:
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


@pytest.mark.parametrize("name", packaged())
def test_a_saved_network_takes_the_place_of_all_anchors_and_their_space(name: str) -> None:
    recipe = Recipe.load(name, {"network.saved": "runs/net"})
    assert recipe.network.saved == Path("runs/net") and not recipe.network.anchors and recipe.head is None


def test_a_method_under_a_saved_network_leaves_its_space(tmp_path: Path) -> None:
    network = Recipe.load(
        write(tmp_path, {"recipe": "snnetv2", "network": {"saved": "net"}, "run": {"steps": 3}})
    ).network
    assert (network.saved, network.direction, network.lora_rank) == (Path("net"), "fast-to-slow", 16)


def test_with_a_saved_network_every_other_setting_of_its_section_goes(tmp_path: Path) -> None:
    everything = Recipe.load(write(tmp_path, LEAST)).network.model_dump(mode="json")
    given = {
        **everything,
        "drop_path": 0.2,
        "kernel_size": 3,
        "stride": 2,
        "nearest": False,
        "stages": [0],
        "new_heads": True,
    }
    path = write(tmp_path, {**LEAST, "network": {**given, "pretrained": False, "direction": "both"}})
    network = Recipe.load(path, {"network.saved": "net"}).network
    assert network.saved == Path("net") and network.drop_path == (0.2,), "stochastic depth is no matter of the space"
    for name, value in (("anchors", ["a", "b"]), ("stride", 2)):
        with pytest.raises(RecipeError, match=name):
            Recipe.load(path, {"network.saved": "net", f"network.{name}": value})


def test_anchors_take_the_place_of_a_saved_network(tmp_path: Path) -> None:
    path = write(tmp_path, {"network": {"saved": "net"}, "run": {"steps": 3}})
    network = Recipe.load(path, {"network.anchors": "a,b", "network.stride": 2}).network
    assert (network.anchors, network.saved, network.stride) == (("a", "b"), None, 2)
    assert Recipe.load(write(tmp_path, LEAST), {"network.saved": None}).network.anchors == (
        "vit_fm_tiny",
        "vit_fm_small",
    )


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
