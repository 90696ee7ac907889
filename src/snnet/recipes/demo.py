"""The whole way on an embedded family, in minutes: stitch, initialize, evaluate, train, evaluate, choose, draw."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from snnet.anchors import EMBEDDED_FAMILIES
from snnet.errors import RecipeError
from snnet.init import InitReport
from snnet.recipes.recipe import Recipe
from snnet.recipes.run import BEFORE, TABLE, Run, open_run
from snnet.report import write_report
from snnet.searching import SearchReport
from snnet.table import SCORE, Gain, StitchRow, StitchTable, anchor_regression, frontier_gain, gap_to_lines, select
from snnet.training import RunSettings
from snnet.utils import Stage, silent

FAMILIES = {family: f"embedded_{family.replace('-', '_')}" for family in EMBEDDED_FAMILIES}
"""Families that come with the package -> their recipes."""


@dataclass(frozen=True, repr=False)
class DemoResult:
    """What the demo found.

    Attributes:
        before: All stitches after least squares; the anchors are as they came.
        after: All stitches after fine-tuning.
        fit: How well the stitching layers fit; None if the run went on from a checkpoint.
        choices: Budget in MACs -> the best stitch under it.
        files: Name -> path of the network, the curve and the page.
        seconds: In all.
    """

    before: StitchTable
    after: StitchTable
    fit: InitReport | SearchReport | None
    choices: dict[float, StitchRow]
    files: dict[str, Path]
    seconds: float

    def __repr__(self) -> str:
        return f"DemoResult({self.seconds:.0f} s, files {', '.join(self.files)})\n{self._both}"

    def _repr_html_(self) -> str:
        return self._both._repr_html_()

    @property
    def _both(self) -> StitchTable:
        """The table after fine-tuning, with the scores before it."""
        scores = {row.stitch: row.values[SCORE] for row in self.before if SCORE in row.values}
        return self.after.with_column(f"{SCORE}_before", scores)

    @property
    def gain(self) -> Gain:
        """By how much the stitches after fine-tuning are better than keeping the anchors, as they came or are now."""
        return frontier_gain(self.after)

    @property
    def anchor_losses(self) -> dict[str, float]:
        """Points of top-1 that each anchor has lost by fine-tuning; a gain is negative."""
        return anchor_regression(self.before, self.after)

    def mean_gap(self, table: StitchTable) -> float:
        """Return how far the stitches lie above the lines between the anchors as they came, in points of top-1."""
        return fmean(gap_to_lines(table, self.before).values())

    def worst_drop(self, table: StitchTable) -> float:
        """Return by how many points the worst stitch lies below the weakest of its own anchors as they came."""
        alone = {row.route.anchors[0]: row.top1 for row in self.before.anchors}
        return max(min(alone[anchor] for anchor in row.route.anchors) - row.top1 for row in table.stitched)


def run_demo(
    output: str | Path,
    *,
    family: str = "vit",
    seed: int | None = None,
    recipe: Recipe | None = None,
    stage: Stage = silent,
    say: Callable[[str], None] | None = None,
) -> DemoResult:
    """Turn embedded anchors into one network, and show what became of them.

    Killed at any moment, the same call goes on where it stopped.

    Args:
        output: Directory for network, tables, curve and page.
        family: One of `FAMILIES`.
        seed: In place of the recipe's.
        recipe: In place of the family's.
        stage: Shows progress.
        say: Told what a user should know.

    Raises:
        RecipeError: If the output holds a run with other settings.
    """
    start = time.perf_counter()
    if recipe is None and family not in FAMILIES:
        raise RecipeError(f"There is no embedded family {family!r}; accepted: {', '.join(FAMILIES)}.")
    chosen = recipe or Recipe.load(FAMILIES[family])
    if seed is not None:
        seeded = RunSettings(**{**chosen.run.model_dump(), "seed": seed})
        chosen = chosen.model_copy(update={"run": seeded})
    directory = Path(output)
    with open_run(chosen, directory, stage=stage, say=say) as run:
        fit, before = _before(run)
        run.train()
        after = run.evaluate(directory / TABLE, title="Evaluating all, after")
        run.save()
    report = write_report(after, directory, before=before, before_label="after least squares", source=str(directory))
    files = {"network": directory, **report}
    choices = {budget: after[select(after, macs=budget)] for budget in chosen.evaluation.budgets}
    return DemoResult(before, after, fit, choices, files, time.perf_counter() - start)


def _before(run: Run) -> tuple[InitReport | SearchReport | None, StitchTable]:
    """Initialize and evaluate, unless training has begun and both are behind."""
    path = run.directory / BEFORE
    costs = run.parts.count_costs()
    for budget in run.parts.recipe.evaluation.budgets:
        # Minutes before the choice is made, for it cannot be made later either.
        select(costs, prefer="params", macs=budget)
    if run.begun and path.is_file():
        return None, StitchTable.load(path)
    fit = run.initialize("Least squares")
    run.recalibrate(anchors=False)
    return fit, run.evaluate(path, title="Evaluating all, before")
