# Tested in tests/recipes/paper/test_outcome.py.
"""Running the variants of experiments, each distinct run once, and going on after a kill."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from snnet.recipes.paper.layer_drop import with_layer_drop
from snnet.recipes.paper.plans import Plan, plan_variant
from snnet.recipes.paper.values import Scale, State, Variant
from snnet.recipes.recipe import Recipe
from snnet.recipes.run import Run, open_run
from snnet.space import Stitch
from snnet.table import StitchRow, StitchTable
from snnet.utils import Stage, silent, write_aside


class Bench:
    """Runs variants in one directory. What is finished there is read, not repeated.

    Args:
        output: Directory; runs lie in `runs/` in it, and experiments that have runs in common share them.
        scale: Which recipes.
        overrides: Dotted setting -> value, for every run.
        stage: Shows progress.
        say: Told what a user should know.
    """

    def __init__(
        self,
        output: str | Path,
        scale: Scale = "embedded",
        overrides: Mapping[str, Any] | None = None,
        *,
        stage: Stage = silent,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.output = Path(output)
        self.scale: Scale = scale
        self.overrides = dict(overrides or {})
        self.stage = stage
        self.say = say or (lambda _: None)

    def plan(self, variant: Variant) -> Plan:
        """Return the run of a variant."""
        return plan_variant(variant, self.scale, self.output, self.overrides)

    def scores(self, variant: Variant) -> StitchTable:
        """Return costs and scores of what the variant evaluates, running what is missing.

        Raises:
            SNNetError: If a recipe, its data or its models cannot be had.
            TrainingInterrupted: After SIGINT or SIGTERM, once the state is saved.
        """
        plan = self.plan(variant)
        found = _scored(plan.scores(variant.state), variant)
        if found is not None:
            return found
        with self._open(self._with_anchors(plan), plan.directory) as run:
            if variant.layer_drop is not None:
                run = replace(run, parts=with_layer_drop(run.parts, variant.layer_drop))
            _bring_to(variant.state, run)
            run.evaluate(plan.scores(variant.state), stitches=[s for s in run.parts.net.space if _wants(variant, s)])
            if variant.state == "trained" and variant.layer_drop is None:
                run.save()
        found = _scored(plan.scores(variant.state), variant)
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
        with self._open(plan.recipe, plan.directory) as run:
            _bring_to("trained", run)
            net = run.parts.net
        for anchor in map(net.anchor, range(len(net.anchors))):
            with write_aside(plan.directory / f"{anchor.name}.safetensors") as partial:
                save_file({key: value.contiguous() for key, value in anchor.model.state_dict().items()}, partial)

    def _open(self, recipe: Recipe, directory: Path) -> AbstractContextManager[Run]:
        return open_run(recipe, directory, stage=self.stage, say=self.say)


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
