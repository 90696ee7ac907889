"""The directory of a run: whose it is, and what may change when the run goes on."""

from pathlib import Path

from snnet.errors import RecipeError
from snnet.recipes.recipe import Recipe
from snnet.recipes.recipe_file import differences
from snnet.training import CHECKPOINTS, FREE_SETTINGS
from snnet.utils import write_text

RECIPE = "recipe.yaml"
# What may change between the parts of one run; of a method only what it says counts.
_FREE = ("recipe", "data.root", "data.workers", "data.max_corrupt", "data.download", "recalibration.", "evaluation.")
_FREE_OF_RUN = ("threads", *FREE_SETTINGS)


def claim_directory(recipe: Recipe, directory: Path) -> bool:
    """Write the recipe into the directory of a run; return whether training has begun there.

    Raises:
        RecipeError: If the directory holds another run; the message lists what differs.
    """
    path = directory / RECIPE
    begun = any((directory / CHECKPOINTS).glob("step-*.pt"))
    if begun and path.is_file():
        before = Recipe.load(path)
        changed = {name: pair for name, pair in differences(before, recipe).items() if not is_free(name)}
        if changed:
            listed = "; ".join(f"{name} was {was!r} and is {now!r}" for name, (was, now) in changed.items())
            raise RecipeError(f"{directory} holds another run: {listed}. Choose another output, or remove it.")
    recipe.save(path)
    return begun


def copy_recipe(source: str | Path, directory: Path) -> None:
    """Let a network that was made from that of a run, without training, know the run's data, too."""
    path = Path(source) / RECIPE
    if path.is_file() and not (directory / RECIPE).exists():
        write_text(directory / RECIPE, path.read_text(encoding="utf-8"))


def is_free(name: str) -> bool:
    """Return whether a setting, by its dotted name, may change between the parts of one run."""
    return name.startswith(_FREE) or name in [f"run.{key}" for key in _FREE_OF_RUN]
