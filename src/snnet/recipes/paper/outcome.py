"""Running one experiment, from its variants to its picture and its verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from snnet.recipes.paper.catalogue import place_of
from snnet.recipes.paper.published import published_table
from snnet.recipes.paper.record import PUBLISHED, Record, cost_range, to_json_lines, to_markdown
from snnet.recipes.paper.runs import Bench, joined
from snnet.recipes.paper.values import PaperExperiment
from snnet.recipes.paper.verdict import Verdict, judge
from snnet.report import Panel, draw_comparison
from snnet.table import StitchTable
from snnet.utils import write_text


@dataclass(frozen=True)
class Outcome:
    """What an experiment left.

    Attributes:
        verdict: Whether the paper's observation was confirmed.
        tables: Label -> what was evaluated.
        files: The picture (PNG and SVG), the page and the numbers.
    """

    verdict: Verdict
    tables: Mapping[str, StitchTable]
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
    budgets = cost_range(next(iter(tables.values())))
    verdict = judge(experiment.claims, tables, budgets)
    record = Record(
        experiment,
        bench.scale,
        tables,
        {label: tuple(names) for label, names in runs.items()},
        budgets,
        int(next(iter(tables.values())).meta["images"]),
        plans[0].recipe.run.seed,
        verdict,
        published_table(experiment.published) if experiment.published else None,
    )
    return Outcome(verdict, tables, _write(record, bench.output, stem, command))


def _write(record: Record, output: Path, stem: str, command: str) -> tuple[Path, ...]:
    panels = _panels(record)
    title = record.experiment.title
    pictures = [draw_comparison(panels, output / f"{stem}{suffix}", title=title) for suffix in (".png", ".svg")]
    text = to_markdown(record, place_of(record.experiment.name), command, pictures[0].name)
    page = write_text(output / f"{stem}.md", text)
    return (*pictures, page, write_text(output / f"{stem}.jsonl", to_json_lines(record)))


def _panels(record: Record) -> list[Panel]:
    headings = {variant.label: variant.panel for variant in record.experiment.variants}
    parts: dict[str, dict[str, StitchTable]] = {}
    for label, table in record.tables.items():
        parts.setdefault(headings[label], {})[label] = table
    panels = [Panel(heading, tables) for heading, tables in parts.items()]
    if record.published is not None:
        panels.append(Panel("published, ImageNet-1K", {PUBLISHED: record.published}))
    return panels
