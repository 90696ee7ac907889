# Tested in tests/recipes/paper/test_outcome.py.
"""Running the variants of experiments, each distinct run once, and going on after a kill."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from snnet.errors import RecipeError
from snnet.recipes.opening import open_run
from snnet.recipes.paper.catalogue import Scale, State, Variant
from snnet.recipes.paper.layer_drop import with_layer_drop
from snnet.recipes.recipe import Recipe
from snnet.recipes.run import Run
from snnet.recipes.run_directory import is_free
from snnet.space import Stitch
from snnet.table import StitchRow, StitchTable
from snnet.training import content_digest
from snnet.utils import Stage, flatten, silent, write_aside

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
        recipe = self.recipe.model_dump(mode="json", include={"recalibration", "evaluation"})
        counting = {"recalibration": recipe["recalibration"], "images": recipe["evaluation"]["images"]}
        return self.directory / f"{state}-{content_digest(counting)[:_DIGITS]}.jsonl"


@dataclass(frozen=True)
class Bench:
    """Runs variants in one directory. What is finished there is read, not repeated.

    Attributes:
        output: Directory; runs lie in `runs/` in it, and experiments that have runs in common share them.
        scale: Which recipes.
        overrides: Dotted setting -> value, for every run.
        stage: Shows progress.
        say: Told what a user should know.
    """

    output: str | Path
    scale: Scale = "embedded"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    stage: Stage = silent
    say: Callable[[str], None] = lambda _: None

    def plan(self, variant: Variant) -> Plan:
        """Return the run of a variant.

        Raises:
            RecipeError: If an override is what the variant itself sets, or does not fit the recipe.
        """
        own = dict(variant.overrides)
        if variant.layer_drop is not None:
            own |= {"sampler.name": "single", "sampler.options": {}}
        clash = sorted(self.overrides.keys() & own.keys())
        if clash:
            raise RecipeError(f"{variant.label!r} sets {', '.join(clash)} itself; leave out --{' and --'.join(clash)}.")
        name = variant.family.recipes[self.scale]
        given = {**variant.defaults.get(self.scale, {}), **self.overrides}
        length = _length(Recipe.load(name, given), variant.length.get(self.scale, 1.0))
        source = variant.family.anchors.get(self.scale)
        before = None if source is None else self._plan(source, Recipe.load(source, self.overrides), {})
        others = {"layer_drop": variant.layer_drop, "anchors": before and before.directory.name}
        return replace(self._plan(name, Recipe.load(name, {**given, **own, **length}), others), anchors=before)

    def _plan(self, name: str, recipe: Recipe, others: Mapping[str, Any]) -> Plan:
        settings = flatten(recipe.model_dump(mode="json"))
        counting = {key: value for key, value in settings.items() if not is_free(key)}
        digest = content_digest({**counting, **{key: value for key, value in others.items() if value is not None}})
        return Plan(recipe, Path(self.output) / "runs" / f"{name}-{digest[:_DIGITS]}")

    def scores(self, variant: Variant) -> StitchTable:
        """Return costs and scores of what the variant evaluates, running what is missing.

        Raises:
            SNNetError: If a recipe, its data or its models cannot be had.
            TrainingInterrupted: After SIGINT or SIGTERM, once the state is saved.
        """
        plan = self.plan(variant)
        path = plan.scores(variant.state)
        if (found := _scored(path, variant)) is not None:
            return found
        with open_run(self._with_anchors(plan), plan.directory, stage=self.stage, say=self.say) as run:
            if variant.layer_drop is not None:
                run = replace(run, parts=with_layer_drop(run.parts, variant.layer_drop))
            _bring_to(variant.state, run)
            run.evaluate(path, stitches=[s for s in run.parts.net.space if _wants(variant, s)])
            if variant.state == "trained" and variant.layer_drop is None:
                run.save()
        found = _scored(path, variant)
        assert found is not None
        return found

    def _with_anchors(self, plan: Plan) -> Recipe:
        """Return the recipe, with anchors that were trained before where they come without weights."""
        before = plan.anchors
        if before is None:
            return plan.recipe
        files = [(before.directory / f"{name}.safetensors").resolve() for name in before.recipe.network.anchors]
        if not all(file.is_file() for file in files):
            self._train_anchors(before)
        named = [f"{name}@{file}" for name, file in zip(before.recipe.network.anchors, files, strict=True)]
        network = plan.recipe.network.model_copy(update={"anchors": tuple(named)})
        return plan.recipe.model_copy(update={"network": network})

    def _train_anchors(self, plan: Plan) -> None:
        self.say("The anchors come without weights; they are trained first.")
        with open_run(plan.recipe, plan.directory, stage=self.stage, say=self.say) as run:
            _bring_to("trained", run)
            net = run.parts.net
        for anchor in map(net.anchor, range(len(net.anchors))):
            with write_aside(plan.directory / f"{anchor.name}.safetensors") as partial:
                save_file({key: value.contiguous() for key, value in anchor.model.state_dict().items()}, partial)


def _length(recipe: Recipe, factor: float) -> dict[str, Any]:
    if factor == 1.0:
        return {}
    if recipe.run.steps is not None:
        return {"run.steps": max(1, round(recipe.run.steps * factor))}
    return {"run.epochs": (recipe.run.epochs or 0.0) * factor}


def _bring_to(state: State, run: Run) -> None:
    if state == "untrained" or (state == "trained" and not run.begun):
        run.initialize()
    if state == "untrained":
        run.recalibrate(anchors=False)
    elif state == "trained":
        run.train()


def joined(tables: list[StitchTable]) -> StitchTable:
    """Return the rows of several tables of one space as one, in the order of the space."""
    rows: dict[str, StitchRow] = {row.stitch: row for table in tables for row in table}
    return StitchTable(sorted(rows.values(), key=lambda row: row.index), tables[0].meta)


def _scored(path: Path, variant: Variant) -> StitchTable | None:
    """Return what the variant evaluates, if all of it has been."""
    if not path.is_file():
        return None
    table = StitchTable.load(path).where(lambda row: _wants(variant, row.route))
    finished = len(table) >= max(1, len(variant.only)) and all("top1" in row.values for row in table)
    return table if finished else None


def _wants(variant: Variant, stitch: Stitch) -> bool:
    if variant.state == "anchors" and not stitch.is_anchor:
        return False
    return not variant.only or stitch.id in variant.only
