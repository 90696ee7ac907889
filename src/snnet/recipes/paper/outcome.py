"""One experiment from its variants to its verdict: picture, page for people, and numbers for machines."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from snnet.recipes.paper.catalogue import PaperExperiment, Scale, place_of
from snnet.recipes.paper.chart import published_table, table_1
from snnet.recipes.paper.runs import Bench, joined
from snnet.recipes.paper.verdict import MEASURES, Range, Verdict, judge, shown
from snnet.report import Panel, draw_comparison
from snnet.table import StitchTable
from snnet.utils import counted, write_text

_SCALES: Mapping[Scale, str] = {
    "embedded": "Embedded scale: small models, Fashion-MNIST; the paper's settings and data are `--scale imagenet`",
    "imagenet": "The paper's scale",
}


@dataclass(frozen=True)
class Outcome:
    """An experiment with its numbers.

    Attributes:
        experiment: What was run.
        scale: At which scale.
        tables: Label -> what was evaluated, in the order of the variants.
        runs: Label -> names of the runs that it comes from.
        budgets: Range of MACs over which curves are averaged.
        seed: Of all runs.
        verdict: Whether the paper's observation was confirmed.
        published: The published table of the full-scale network, where there is one.
        files: The picture (PNG and SVG), the page and the numbers.
    """

    experiment: PaperExperiment
    scale: Scale
    tables: Mapping[str, StitchTable]
    runs: Mapping[str, Mapping[str, None]]
    budgets: Range
    seed: int
    verdict: Verdict
    published: StitchTable | None
    files: tuple[Path, ...]


def perform(experiment: PaperExperiment, bench: Bench, name: str | None = None, command: str = "") -> Outcome:
    """Run what is missing of an experiment, and write its picture, page and numbers into the bench's directory.

    Args:
        experiment: What to run.
        bench: Where, at which scale, and with which settings.
        name: Beginning of the names of the files; the experiment's own by default.
        command: The command line to show on the page.

    Raises:
        RecipeError: If a setting does not fit a variant, before anything is run.
    """
    stem = name or experiment.name
    # All of them first: a setting that does not fit the last variant must not be found after hours.
    plans = [bench.plan(variant) for variant in experiment.variants]
    parts: dict[str, list[StitchTable]] = {}
    runs: dict[str, dict[str, None]] = {}
    for number, (variant, plan) in enumerate(zip(experiment.variants, plans, strict=True), 1):
        bench.say(f"{stem}, {number} of {len(plans)}: {variant.label}")
        parts.setdefault(variant.label, []).append(bench.scores(variant))
        runs.setdefault(variant.label, {})[plan.directory.name] = None
    tables = {label: joined(found) for label, found in parts.items()}
    budgets = _cost_range(next(iter(tables.values())))
    outcome = Outcome(
        experiment,
        bench.scale,
        tables,
        runs,
        budgets,
        plans[0].recipe.run.seed,
        judge(experiment.claims, tables, budgets),
        published_table(experiment.published) if experiment.published else None,
        tuple(Path(bench.output) / f"{stem}{suffix}" for suffix in (".png", ".svg", ".md", ".jsonl")),
    )
    *pictures, page, numbers = outcome.files
    for picture in pictures:
        draw_comparison(_panels(outcome), picture, title=experiment.title)
    write_text(page, _page(outcome, command, pictures[0].name))
    write_text(numbers, "".join(json.dumps(line) + "\n" for line in _lines(outcome)))
    return outcome


def _cost_range(table: StitchTable) -> Range:
    """Return MACs of the cheapest and of the largest anchor."""
    costs = [row.macs for row in table.anchors]
    return min(costs), max(costs)


def _panels(outcome: Outcome) -> list[Panel]:
    headings = {variant.label: variant.panel for variant in outcome.experiment.variants}
    parts: dict[str, dict[str, StitchTable]] = {}
    for label, table in outcome.tables.items():
        parts.setdefault(headings[label], {})[label] = table
    if outcome.published is not None:
        parts["published, ImageNet-1K"] = {"published": outcome.published}
    return [Panel(heading, tables) for heading, tables in parts.items()]


def _lines(outcome: Outcome) -> Iterator[dict[str, object]]:
    """Yield one line per variant and stitch, with the published top-1 of the same route where there is one."""
    paper = {} if outcome.published is None else {row.stitch: row.top1 for row in outcome.published}
    anchors = {row.stitch for table in outcome.tables.values() for row in table.anchors}
    if outcome.published is None or anchors != {row.stitch for row in outcome.published.anchors}:
        paper = {}
    for label, table in outcome.tables.items():
        for row in table:
            known = {"published_top1": paper[row.stitch]} if row.stitch in paper else {}
            yield {"variant": label, **row.to_dict(), **known}


def _page(outcome: Outcome, command: str, picture: str) -> str:
    """Return what the paper observes, the picture, the table, the verdict with its numbers, the settings."""
    experiment, verdict = outcome.experiment, outcome.verdict
    place = place_of(experiment.name).replace("-", " ").capitalize()
    parts = [
        f"# {experiment.title}",
        f"{place} of the paper. {experiment.observation}",
        *([f"```sh\n{command}\n```"] if command else []),
        f"![{experiment.title}]({picture})",
        "\n".join(_summary(outcome)),
        *(["\n".join(_by_stitch(outcome.tables))] if experiment.by_stitch else []),
        f"**Verdict: {verdict.words}** (computed from the table above).",
        "\n".join(f"- {finding}" for finding in verdict.findings),
        *_settings(outcome),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(outcome: Outcome) -> Iterator[str]:
    yield f"| | routes | {' | '.join(measure.heading for measure in MEASURES.values())} | anchors |"
    yield f"| --- | --- |{' --- |' * (len(MEASURES) + 1)}"
    for label, table in outcome.tables.items():
        yield _row(label, table, outcome.budgets)
    if outcome.published is not None:
        yield _row("published (ImageNet-1K)", outcome.published, _cost_range(outcome.published))


def _row(label: str, table: StitchTable, budgets: Range) -> str:
    values = [shown(measure.of(table, budgets)) for measure in MEASURES.values()]
    anchors = " / ".join(f"{row.top1:.2f}" for row in table.anchors) or "-"
    return f"| {' | '.join([label, str(len(table)), *values, anchors])} |"


def _by_stitch(tables: Mapping[str, StitchTable]) -> Iterator[str]:
    yield f"| Ti / S / B blocks | {' | '.join(f'{label}, here' for label in tables)} | together, paper | alone, paper |"
    yield f"| --- |{' --- |' * (len(tables) + 2)}"
    for stitch, paper in table_1().items():
        here = [f"{t[stitch].top1:.2f}" if stitch in t else "-" for t in tables.values()]
        yield f"| {' | '.join([paper['blocks'], *here, paper['together'], paper['alone'] or 'failed'])} |"


def _settings(outcome: Outcome) -> Iterator[str]:
    first = next(iter(outcome.tables.values()))
    images = int(first.meta["images"])
    low, high = (f"{value / 1e6:,.1f} M" for value in outcome.budgets)
    share = fmean(row.top1 for row in first) / 100
    error = 100 * math.sqrt(share * (1 - share) / images)
    yield (
        f"{_SCALES[outcome.scale]}. {counted(images, 'test image')}: one stitch at {100 * share:.0f} % has a standard "
        f"error of {error:.2f} points. Seed {outcome.seed}, one run each. Budgets from {low} to {high} MACs."
    )
    meanings = "; ".join(f"*{measure.heading}*: {measure.meaning}" for measure in MEASURES.values())
    yield f"{meanings}. Top-1 in percent."
    runs = "; ".join(f"{label}: {', '.join(f'`{name}`' for name in names)}" for label, names in outcome.runs.items())
    yield f"Runs: {runs}."
