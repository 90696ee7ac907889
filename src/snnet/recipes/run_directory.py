"""The directory of a run: whose it is, what may change when the run goes on, and the images that its recipe names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from snnet.data import Images, fixed_choice, open_dataset
from snnet.errors import DataError, RecipeError
from snnet.network import published_file
from snnet.recipes.build import open_images
from snnet.recipes.recipe import Recipe
from snnet.recipes.recipe_file import check_recipe, differences
from snnet.space import InputSpec
from snnet.training import CHECKPOINTS, FREE_SETTINGS
from snnet.utils import write_text

RECIPE = "recipe.yaml"
FIRST = "first"
"""Directory, in that of a run, of its first phase."""
# What may change between the parts of one run; of a method only what it says counts.
_FREE = ("recipe", "data.root", "data.workers", "data.max_corrupt", "data.download", "recalibration.", "evaluation.")
_FREE_OF_RUN = ("threads", *FREE_SETTINGS)
# What commands that name the run alone take from its recipe.
_SECTIONS = ("data", "augment", "calibration", "recalibration", "evaluation")


def recorded_recipe(path: Path) -> Recipe:
    """Return the recipe that a run has written; all is in it, and a method that has changed since says nothing."""
    return Recipe.load(path, {"recipe": None})


def check_directory(recipe: Recipe, directory: Path) -> bool:
    """Return whether training has begun in the directory of a run.

    Raises:
        RecipeError: If the directory holds another run; the message lists what differs.
    """
    path = directory / RECIPE
    begun = _has_begun(directory)
    if begun and path.is_file():
        before = recorded_recipe(path)
        changed = {name: pair for name, pair in differences(before, recipe).items() if not is_free(name)}
        if changed:
            listed = "; ".join(f"{name} was {was!r} and is {now!r}" for name, (was, now) in changed.items())
            raise RecipeError(f"{directory} holds another run: {listed}. Choose another output, or remove it.")
    return begun


def steps_begun(directory: Path) -> int | None:
    """Return how many steps the run has that was begun in a directory; None if there is none."""
    path = directory / RECIPE
    return recorded_recipe(path).run.steps if _has_begun(directory) and path.is_file() else None


def first_steps_begun(directory: Path) -> int | None:
    """Return how many steps the first phase has of a run that was begun in a directory; None if there is none."""
    path = directory / RECIPE
    return recorded_recipe(path).first.steps if _has_begun(directory / FIRST) and path.is_file() else None


def _has_begun(directory: Path) -> bool:
    return any((directory / CHECKPOINTS).glob("step-*.pt"))


def claim_directory(recipe: Recipe, directory: Path) -> bool:
    """Check the directory of a run, and write the recipe into it; return whether training has begun there."""
    begun = check_directory(recipe, directory)
    recipe.save(directory / RECIPE)
    return begun


def copy_recipe(source: str | Path, directory: Path) -> None:
    """Let a network that was made from that of a run, without training, know the run's data, too."""
    path = Path(source) / RECIPE
    if path.is_file() and not (directory / RECIPE).exists():
        write_text(directory / RECIPE, path.read_text(encoding="utf-8"))


def is_free(name: str) -> bool:
    """Return whether a setting, by its dotted name, may change between the parts of one run."""
    return name.startswith(_FREE) or name in [f"run.{key}" for key in _FREE_OF_RUN]


@dataclass(frozen=True)
class RunData:
    """The images that a command goes through, and the settings with which it does.

    Attributes:
        recipe: Says both; its network is the one that was asked about.
        is_own: Whether the images are those of the run that made the network.
        why: Which images they are, and why they are taken, in one line.
    """

    recipe: Recipe
    is_own: bool
    why: str
    _pairs: dict[object, tuple[Images, Images]] = field(default_factory=dict, repr=False, compare=False)

    def open(
        self,
        split: Literal["train", "validation"],
        input: InputSpec,
        num_classes: int,
        *,
        any_classes: bool = False,
    ) -> Images:
        """Return the images of a split, clean.

        Those of the run itself are divided as in training: what was held out there is `validation` here, and
        `evaluation.images` of the recipe chooses among them. Of other images all are taken.

        Args:
            split: Which.
            input: What the network takes.
            num_classes: How many classes it has.
            any_classes: Labels do not matter, so other images may have other classes.

        Raises:
            DataError: If they are missing or do not fit the network.
        """
        data = self.recipe.data
        if not self.is_own:
            known = None if any_classes or data.target.kind == "depth" else num_classes
            return open_dataset(split=split, input=input, num_classes=known, **data.source)
        key = (input, num_classes)
        if key not in self._pairs:
            clean = self.recipe.augment.model_copy(update={"image": None, "dense": None})
            self._pairs[key] = open_images(self.recipe.model_copy(update={"augment": clean}), input, num_classes)
        train, validation = self._pairs[key]
        return train if split == "train" else fixed_choice(validation, self.recipe.evaluation.images)


def data_of_run(source: str | Path, told: Mapping[str, Any]) -> RunData:
    """Return the data of a saved network: as its run's `recipe.yaml` says, unless the user says otherwise.

    Pictures for a network that the authors of SN-Net published are not turned, as they were not for its scores.
    From the recipe come the sections of data, augmentation, calibration, recalibration and evaluation, and threads and
    seed. A relative root is relative to the working directory, as it was in the run. Where the user names other data,
    the recipe's images and augmentation do not count, but what comes with an image does.

    Args:
        source: Directory of a saved network; of any other source, and without a recipe, there is nothing to take.
        told: What the user says, as overrides of a recipe: dotted key -> value.

    Raises:
        RecipeError: If the run's recipe or what the user says has faults.
        DataError: If the run's images are no longer where they were.
    """
    path = Path(source) / RECIPE
    recorded = recorded_recipe(path).model_dump(mode="json") if path.is_file() else {}
    is_own = bool(recorded) and "data.name" not in told
    content = {name: recorded[name] for name in _SECTIONS if recorded}
    if published_file(str(source)) is not None:  # whose scores are of pictures as timm reads them
        content = {"data": {"upright": False}}
    if recorded and not is_own:
        # What a target is does not change with the images.
        target = {"target": recorded["data"]["target"]}
        content |= {"data": target, "augment": {}, "evaluation": {**content["evaluation"], "images": None}}
    run = {"epochs": 10} | {name: recorded["run"][name] for name in ("threads", "seed") if recorded}
    recipe = check_recipe(Recipe, {"network": {"saved": str(source)}, **content, "run": run}, told, str(source))
    if is_own:
        _check_root(recipe, path, told)
    return RunData(recipe, is_own, _why(recipe, path, told, is_own=is_own))


def _check_root(recipe: Recipe, path: Path, told: Mapping[str, Any]) -> None:
    root = recipe.data.root
    if root is None or "data.root" in told or recipe.data.download or root.expanduser().exists():
        return
    seen = "" if root.is_absolute() else f", seen from {Path.cwd()}"
    raise DataError(
        f"{path} says that the images, {recipe.data.name}, lie under {root}, and nothing is there{seen}; if they have "
        "moved, give --root, the folder where they lie now."
    )


def _why(recipe: Recipe, path: Path, told: Mapping[str, Any], *, is_own: bool) -> str:
    images = recipe.data.name + (f" under {recipe.data.root}" if recipe.data.root else "")
    if is_own:
        moved = " but for the root that you give" if "data.root" in told else ""
        return f"Data: {images}, as {path} says{moved}"
    if "data.name" in told:
        return f"Data: {images}, as you say"
    return f"Data: {images}, for no {path.name} says what {path.parent} was trained on; --data and --root name others"
