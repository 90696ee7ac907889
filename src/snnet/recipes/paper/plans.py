# Tested in tests/recipes/paper/test_outcome.py.
"""From a variant to the recipe and the directory of its run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnet.errors import RecipeError
from snnet.recipes.paper.values import Scale, Variant
from snnet.recipes.recipe import Recipe
from snnet.recipes.run_directory import is_free
from snnet.training import content_digest
from snnet.utils import flatten

RUNS = "runs"
_DIGITS = 8


@dataclass(frozen=True)
class Plan:
    """A run: what is trained, and where it lies.

    Attributes:
        recipe: What is trained.
        directory: Named after the recipe and all settings that count, so equal runs are one.
        anchors: The run that trains the anchors before, if they come without weights.
    """

    recipe: Recipe
    directory: Path
    anchors: "Plan | None" = None

    def scores(self, state: str) -> Path:
        """Return the file of the scores of a state; other images or another recalibration are another file."""
        recipe = self.recipe.model_dump(mode="json", include={"recalibration", "evaluation", "data"})
        counting = {"recalibration": recipe["recalibration"], "images": recipe["evaluation"]["images"]}
        return self.directory / f"{state}-{content_digest(counting)[:_DIGITS]}.jsonl"


def plan_variant(variant: Variant, scale: Scale, output: Path, overrides: Mapping[str, Any]) -> Plan:
    """Return the run of a variant.

    Args:
        variant: What is run.
        scale: Which of its family's recipes.
        output: The experiment's directory; runs lie in `runs/` in it.
        overrides: Dotted setting -> value, for every run.

    Raises:
        RecipeError: If an override is what the variant itself sets, or does not fit the recipe.
    """
    own = dict(variant.overrides)
    if variant.layer_drop is not None:
        own |= {"sampler.name": "single", "sampler.options": {}}
    clash = sorted(overrides.keys() & own.keys())
    if clash:
        raise RecipeError(f"{variant.label!r} sets {', '.join(clash)} itself; leave out --{' and --'.join(clash)}.")
    name = variant.family.recipes[scale]
    given = {**variant.defaults.get(scale, {}), **overrides}
    length = _length(Recipe.load(name, given), variant.length[scale])
    recipe = Recipe.load(name, {**given, **own, **length})
    source = variant.family.anchors.get(scale)
    before = None if source is None else _plan(source, Recipe.load(source, overrides), output)
    others = {"layer_drop": variant.layer_drop, "anchors": before and before.directory.name}
    return _plan(name, recipe, output, others, before)


def _plan(
    name: str, recipe: Recipe, output: Path, others: Mapping[str, Any] | None = None, anchors: Plan | None = None
) -> Plan:
    settings = flatten(recipe.model_dump(mode="json"))
    counting = {key: value for key, value in settings.items() if not is_free(key)}
    digest = content_digest({**counting, **{key: value for key, value in (others or {}).items() if value is not None}})
    return Plan(recipe, output / RUNS / f"{name}-{digest[:_DIGITS]}", anchors)


def _length(recipe: Recipe, factor: float) -> dict[str, Any]:
    if factor == 1.0:
        return {}
    if recipe.run.steps is not None:
        return {"run.steps": max(1, round(recipe.run.steps * factor))}
    return {"run.epochs": (recipe.run.epochs or 0.0) * factor}
