from pathlib import Path

import pytest

from snnet.errors import RecipeError
from snnet.recipes import Recipe
from snnet.recipes.recipe_file import differences
from snnet.utils import setting_names


def test_every_setting_is_described() -> None:
    found = {name: (about, default) for name, about, default in setting_names(Recipe)}
    assert found["optim.lr"][1] == 1e-4
    assert found["augment.image.scale"][1] == (0.08, 1.0)
    assert all(about for about, _ in found.values())


def test_differences_are_named_by_dots() -> None:
    one, other = Recipe.load("embedded_vit"), Recipe.load("embedded_vit", {"optim.lr": 1.0, "loss.teacher": None})
    changed = differences(one, other)
    assert changed["optim.lr"] == (one.optim.lr, 1.0)
    assert all(name.startswith(("optim.lr", "loss.teacher")) for name in changed)
    assert differences(one, one) == {}


def test_settings_that_are_gone_are_read_at_what_is_done_anyway() -> None:
    kept = {"run.stitches_per_rank": "same", "run.sync_batch_norm": False}
    assert Recipe.load("embedded_vit", kept) == Recipe.load("embedded_vit")
    others = {"run.stitches_per_rank": "different", "run.sync_batch_norm": "true"}
    with pytest.raises(RecipeError, match=r"(?s)2 faults.*per_rank: 'different' is gone; .*norm: 'true' is gone; "):
        Recipe.load("embedded_vit", others)


def test_a_key_that_stands_twice_is_refused_with_all_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("run:\n  steps: 2\n  steps: 3\noptim:\n  lr: 0.1\noptim:\n  lr: 0.2\n")
    with pytest.raises(RecipeError, match=r"twice.*steps in lines 2 and 3; optim in lines 4 and 6"):
        Recipe.load(path)
    path.write_text("[" * 20_000)
    with pytest.raises(RecipeError, match="nested deeper"):
        Recipe.load(path)
