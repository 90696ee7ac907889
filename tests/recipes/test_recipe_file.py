from snnet.recipes import Recipe, setting_names
from snnet.recipes.recipe_file import differences


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
