# Tested in tests/recipes/paper/test_outcome.py.
"""What an experiment found, as Markdown for people and JSON lines for machines."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from snnet.recipes.paper.measures import MEANINGS, MEASURES, Range
from snnet.recipes.paper.published import table_1
from snnet.recipes.paper.values import Measure, PaperExperiment, Scale
from snnet.recipes.paper.verdict import Verdict
from snnet.table import StitchTable

PUBLISHED = "published"
_COLUMNS: tuple[Measure, ...] = ("mean", "lowest", "curve", "gap", "rank")


@dataclass(frozen=True)
class Record:
    """An experiment with its numbers.

    Attributes:
        experiment: What was run.
        scale: At which scale.
        tables: Label -> what was evaluated, in the order of the variants.
        runs: Label -> names of the runs that it comes from.
        budgets: Range of MACs over which curves are averaged.
        images: Test images that each stitch was evaluated on.
        seed: Of all runs.
        verdict: How the paper's observation came out.
        published: The published table of the full-scale network, where there is one.
    """

    experiment: PaperExperiment
    scale: Scale
    tables: Mapping[str, StitchTable]
    runs: Mapping[str, tuple[str, ...]]
    budgets: Range
    images: int
    seed: int
    verdict: Verdict
    published: StitchTable | None


def to_markdown(record: Record, place: str, command: str, picture: str) -> str:
    """Return a page: what the paper observes, the picture, the table, the verdict with its numbers, the settings."""
    experiment = record.experiment
    verdict = [f"**Verdict: {record.verdict.words}** (computed from the table above).", ""]
    verdict += [f"- {finding}" for finding in record.verdict.findings]
    parts = [
        f"# {experiment.title}",
        f"{place.replace('-', ' ').capitalize()} of the paper. {experiment.observation}",
        *([f"```sh\n{command}\n```"] if command else []),
        f"![{experiment.title}]({picture})",
        "\n".join(_summary(record)),
        *(["\n".join(_by_stitch(record))] if experiment.by_stitch else []),
        "\n".join(verdict),
        _settings(record),
    ]
    return "\n\n".join(parts) + "\n"


def to_json_lines(record: Record) -> str:
    """Return one line per variant and stitch, with the published top-1 of the same route where there is one."""
    paper = _published_top1(record)
    lines = [
        {"variant": label, **row.to_dict(), **({"published_top1": paper[row.stitch]} if row.stitch in paper else {})}
        for label, table in record.tables.items()
        for row in table
    ]
    return "\n".join(map(json.dumps, lines)) + "\n"


def _summary(record: Record) -> Iterator[str]:
    yield "| | routes | mean | worst | under budgets | above the lines | rank | anchors |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for label, table in record.tables.items():
        yield _row(label, table, record.budgets)
    if record.published is not None:
        yield _row("published (ImageNet-1K)", record.published, cost_range(record.published))


def _row(label: str, table: StitchTable, budgets: Range) -> str:
    values = [MEASURES[name](table, budgets) for name in _COLUMNS]
    anchors = " / ".join(f"{row.top1:.2f}" for row in table.anchors) or "-"
    shown = ["-" if value is None else f"{value:.2f}" for value in values]
    return f"| {' | '.join([label, str(len(table)), *shown, anchors])} |"


def _by_stitch(record: Record) -> Iterator[str]:
    labels = list(record.tables)
    yield f"| Ti / S / B blocks | {' | '.join(f'{label}, here' for label in labels)} | together, paper | alone, paper |"
    yield f"| --- |{' --- |' * (len(labels) + 2)}"
    for stitch, paper in table_1().items():
        here = [f"{t[stitch].top1:.2f}" if stitch in t else "-" for t in record.tables.values()]
        yield f"| {' | '.join([paper['blocks'], *here, paper['together'], paper['alone'] or 'failed'])} |"


def _settings(record: Record) -> str:
    low, high = (f"{value / 1e6:,.1f} M" for value in record.budgets)
    meanings = "; ".join(f"*{name}*: {MEANINGS[key]}" for name, key in _NAMES.items())
    share = fmean(row.top1 for row in next(iter(record.tables.values()))) / 100
    error = 100 * math.sqrt(share * (1 - share) / record.images)
    scale = {
        "embedded": "Embedded scale: small models, Fashion-MNIST; the paper's settings and data are `--scale imagenet`",
        "imagenet": "The paper's scale",
    }[record.scale]
    runs = "; ".join(f"{label}: {', '.join(f'`{name}`' for name in names)}" for label, names in record.runs.items())
    return (
        f"{scale}. {record.images:,} test images: one stitch at {100 * share:.0f} % has a standard error of "
        f"{error:.2f} points. Seed {record.seed}, one run each. Budgets from {low} to {high} MACs.\n\n"
        f"{meanings}. Top-1 in percent.\n\nRuns: {runs}."
    )


_NAMES: Mapping[str, Measure] = {
    "mean": "mean",
    "worst": "lowest",
    "under budgets": "curve",
    "above the lines": "gap",
    "rank": "rank",
}


def cost_range(table: StitchTable) -> Range:
    """Return MACs of the cheapest and of the largest anchor."""
    costs = [row.macs for row in table.anchors]
    return min(costs), max(costs)


def _published_top1(record: Record) -> dict[str, float]:
    if record.published is None:
        return {}
    same = {row.stitch for table in record.tables.values() for row in table.anchors} == {
        row.stitch for row in record.published.anchors
    }
    return {row.stitch: row.top1 for row in record.published} if same else {}
