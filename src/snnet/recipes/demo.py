"""The whole way on an embedded family, in minutes: stitch, initialize, evaluate, train, evaluate, choose, draw."""

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snnet.anchors import EMBEDDED_FAMILIES
from snnet.errors import RecipeError
from snnet.init import InitReport
from snnet.recipes.build import build_parts
from snnet.recipes.examples import draw_examples
from snnet.recipes.first import first_trainer
from snnet.recipes.opening import open_run
from snnet.recipes.parts import Parts
from snnet.recipes.recipe import Recipe
from snnet.recipes.run import BEFORE, TABLE, Run
from snnet.recipes.run_directory import first_steps_begun, steps_begun
from snnet.recipes.trainer import build_trainer
from snnet.report import write_report
from snnet.searching import SearchReport
from snnet.table import Gain, StitchRow, StitchTable, anchor_regression, frontier_gain, select
from snnet.training import Trainer, TrainStatus
from snnet.utils import Stage, silent

FAMILIES = {family: f"embedded_{family.replace('-', '_')}" for family in EMBEDDED_FAMILIES}
"""Families that come with the package -> their recipes."""
SEGMENTING = {family: f"embedded_{family}_segmentation" for family in ("cnn", "swin", "vit")}
"""The same of masks in place of labels."""
_TRIAL, _LEAST = 20, 100
"""Steps that tell how long one takes, and that a demo trains for at least, or not at all."""


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
        name = self.after.score
        scores = {row.stitch: row.values[name] for row in self.before if name in row.values}
        return self.after.with_column(f"{name}_before", scores)

    @property
    def gain(self) -> Gain:
        """By how much the stitches after fine-tuning are better than keeping the anchors, as they came or are now."""
        return frontier_gain(self.after)

    @property
    def anchor_losses(self) -> dict[str, float]:
        """Points of top-1 that each anchor has lost by fine-tuning; a gain is negative."""
        return anchor_regression(self.before, self.after)


@dataclass(frozen=True)
class Watching:
    """Who is told of a demo while it goes on.

    Attributes:
        stage: Shows progress.
        say: Told what a user should know.
        first: Told all stitches as they are before training.
        look: Told the step, and the table as a look at some images shows it, before training and in between.
    """

    stage: Stage = silent
    say: Callable[[str], None] | None = None
    first: Callable[[StitchTable], None] = lambda _: None
    look: Callable[[int, StitchTable], None] = lambda *_: None


def run_demo(
    output: str | Path,
    *,
    family: str | None = None,
    task: str = "classification",
    seed: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    recipe: Recipe | None = None,
    watching: Watching | None = None,
) -> DemoResult:
    """Turn embedded anchors into one network, and show what became of them.

    Killed at any moment, the same call goes on where it stopped.

    Args:
        output: Directory for network, tables, curve and page.
        family: One of `FAMILIES`, or of `SEGMENTING`; `vit` or the first of these if None.
        task: `classification`, or `segmentation` of composed scenes.
        seed: In place of the recipe's.
        steps: Of training, in place of the recipe's.
        minutes: Train for as many steps as can be done, on this machine, in such a time for all; at most the recipe's.
            A first phase of the anchors alone takes a third of it. A run that goes on keeps the numbers that it began
            with. With no time for 100 nothing is trained.
        recipe: In place of the family's.
        watching: Who is told how it goes.

    Raises:
        RecipeError: If the output holds a run with other settings.
    """
    start, directory, watching = time.perf_counter(), Path(output), watching or Watching()
    chosen = recipe or _family_recipe(family, task)
    begun = steps_begun(directory)
    changes = {"seed": seed, "steps": steps if begun is None or steps is not None else begun}
    chosen = chosen.with_run(**{name: value for name, value in changes.items() if value is not None})
    if chosen.first.steps and minutes is not None and steps is None:
        chosen = _with_first(chosen, directory, 60 * minutes)
    with open_run(chosen, directory, stage=watching.stage, say=watching.say) as run:
        fit, before = _before(run)
        # Of use at once, and all that there is to see if training is interrupted.
        write_report(before, directory, source=str(directory))
        watching.first(before)
        affordable = None
        if minutes is not None and steps is begun is None:
            # A tenth is for what cannot be foreseen, such as other work on the machine.
            affordable = _affordable(run.parts, 0.9 * (60 * minutes - (time.perf_counter() - start)))
        if affordable is not None and affordable < min(_LEAST, chosen.run.steps or _LEAST):
            if watching.say is not None:
                watching.say(f"No time is left for {_LEAST} steps of training, and fewer do harm; give more minutes.")
            before.save(directory / TABLE)
            after = before
        else:
            run = run if affordable is None else run.of_length(affordable)
            run.train(lambda step, scores: watching.look(step, before.with_column(before.score, scores)))
            after = run.evaluate(directory / TABLE, title="Evaluating all, after")
        run.save()
    choices = {budget: after[select(after, macs=budget)] for budget in chosen.evaluation.budgets}
    pictures = draw_examples(run.parts, choices, directory)
    told: dict[str, Any] = {"before": before, "before_label": "before training", "source": str(directory)}
    files = {"network": directory, **write_report(after, directory, **told, pictures=pictures)}
    files |= {path.name: path for path in pictures.values()}
    return DemoResult(before, after, fit, choices, files, time.perf_counter() - start)


def run_one(
    output: str | Path,
    *,
    family: str = "vit",
    changes: Mapping[str, Any] | None = None,
    watching: Watching | None = None,
) -> tuple[StitchTable, dict[str, Path]]:
    """Turn the largest anchor of an embedded family into many networks, without training.

    Args:
        output: Directory for network, table, curve and page.
        family: One of `FAMILIES`.
        changes: Settings in place of those of the family's recipe, by dotted name.
        watching: Who is told how it goes.

    Returns:
        The table, and name -> path of the network, the curve and the page.

    Raises:
        RecipeError: If the output holds another run.
    """
    directory, watching = Path(output), watching or Watching()
    usual = {"network.anchors": EMBEDDED_FAMILIES[family][-1:], "routes.for_training": False}
    recipe = Recipe.load(FAMILIES[family], {**usual, **(changes or {})})
    with open_run(recipe, directory, stage=watching.stage, say=watching.say) as run:
        run.initialize()
        run.recalibrate(anchors=False)
        table = run.evaluate(directory / TABLE, title="Evaluating all")
        run.save()
    return table, {"network": directory, **write_report(table, directory, source=str(directory))}


def _family_recipe(family: str | None, task: str) -> Recipe:
    known = {"classification": FAMILIES, "segmentation": SEGMENTING}.get(task)
    if known is None:
        raise RecipeError(f"There is no demo of task {task!r}; accepted: classification, segmentation.")
    chosen = family or next(iter(known))
    if chosen not in known:
        raise RecipeError(f"There is no embedded family {chosen!r} for {task}; accepted: {', '.join(known)}.")
    return Recipe.load(known[chosen])


def _before(run: Run) -> tuple[InitReport | SearchReport | None, StitchTable]:
    """Initialize and evaluate, unless training has begun and both are behind."""
    path = run.directory / BEFORE
    if run.begun and path.is_file():
        return None, StitchTable.load(path)
    fit = run.initialize("Least squares")
    costs = run.parts.count_costs()
    for budget in run.parts.recipe.evaluation.budgets:
        # Minutes before the choice is made, for it cannot be made later either.
        select(costs, prefer="params", macs=budget)
    run.recalibrate(anchors=False)
    return fit, run.evaluate(path, title="Evaluating all, before")


def _with_first(recipe: Recipe, directory: Path, seconds: float) -> Recipe:
    """Return a recipe whose first phase takes a third of a time on this machine, if it was not begun already."""
    steps = first_steps_begun(directory)
    if steps is None:
        parts = build_parts(recipe)
        step = _seconds_a_step(first_trainer(parts, _TRIAL))
        steps = max(_LEAST, min(recipe.first.steps, int(seconds / 3 / step)))
    return recipe.model_copy(update={"first": recipe.first.model_copy(update={"steps": steps})})


def _seconds_a_step(trainer: Trainer) -> float:
    """Train a few steps, and return how long one took."""
    moments: list[float] = []

    def note(_: TrainStatus) -> None:
        moments.append(time.perf_counter())

    trainer.fit(on_step=note, progress=False)
    # The first step is slower than the others.
    return (moments[-1] - moments[0]) / (len(moments) - 1)


def _affordable(parts: Parts, seconds: float) -> int:
    """Return how many steps can be done before what is left of a time is needed to evaluate all stitches again."""
    recipe, net = parts.recipe.with_run(steps=_TRIAL), deepcopy(parts.net)
    trainer = build_trainer(replace(parts, recipe=recipe, net=net))
    probe, trainer.probe = trainer.probe, None
    step, begun = _seconds_a_step(trainer), time.perf_counter()
    if probe is not None:
        probe.measure(net, 0)
        look, section = time.perf_counter() - begun, recipe.evaluation
        step += look / section.every
        seconds -= look * (1 + len(parts.validation) * section.batch_size / section.every_images)
    return max(0, min(parts.recipe.run.steps or _LEAST, int(seconds / step)))
