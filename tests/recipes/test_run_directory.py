from pathlib import Path

import pytest

from snnet.errors import RecipeError
from snnet.recipes import Recipe, claim_directory


def test_a_directory_is_claimed_once_training_has_begun(tmp_path: Path) -> None:
    recipe = Recipe.load("embedded_vit")
    other = Recipe.load("embedded_vit", {"optim.lr": 0.5})
    assert not claim_directory(other, tmp_path)
    assert not claim_directory(recipe, tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-00000001.pt").touch()
    assert claim_directory(recipe, tmp_path)
    assert claim_directory(Recipe.load("embedded_vit", {"run.keep": 9, "data.workers": 1}), tmp_path)
    # The same settings, each written out.
    assert claim_directory(recipe.model_copy(update={"recipe": None}), tmp_path)
    with pytest.raises(RecipeError, match=r"optim\.lr was .* and is 0\.5"):
        claim_directory(other, tmp_path)
    (tmp_path / "recipe.yaml").write_text("network: {anchors: [a, b]}\nrun: {stepz: 3}\n")
    with pytest.raises(RecipeError, match=r"recipe\.yaml has a fault:\n  run\.stepz: unknown key"):
        claim_directory(recipe, tmp_path)
