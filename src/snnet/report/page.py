"""The accuracy-cost curve as one interactive HTML file that needs no network, alone or with its pictures."""

import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from snnet.errors import TableError
from snnet.report.filling import fill_page
from snnet.report.plots import draw_curve
from snnet.report.view import (
    ALONE,
    UNRELIABLE,
    anchor_depths,
    anchor_names,
    axis_of,
    cost_columns,
    score_range,
    series_of,
    short_names,
    staircase,
)
from snnet.table import (
    COST,
    ERROR,
    Budget,
    Ranking,
    StitchRow,
    StitchTable,
    column,
    describe_profile,
    doubts,
    gain_if_known,
    measured,
    pareto_frontier,
)
from snnet.utils import check_output, counted


def write_page(
    table: StitchTable,
    path: str | Path,
    *,
    before: StitchTable | None = None,
    before_label: str = "before training",
    cost: str = COST,
    score: str | None = None,
    title: str | None = None,
    source: str = "RUN",
    pictures: Mapping[str, Path] = MappingProxyType({}),
) -> Path:
    """Write a page with the curve, a budget slider, the chosen stitch's route and a table of the frontier.

    Everything is inside the one file: it opens without a network or a server. Stitches without a finite score
    are shown as not evaluated.

    Args:
        table: Stitches with their costs and scores.
        path: Where to write, whole or not at all.
        before: An earlier table of the same stitches, drawn faintly.
        before_label: What the legend calls `before`.
        cost: Column along the horizontal axis at first, if it can be a budget.
        score: Column of the vertical axis; `table.score` if None.
        title: Heading of the page.
        source: What the commands that the page offers name: the directory of the network or the file of the table.
        pictures: Caption -> PNG file that stands below the curve.

    Raises:
        TableError: If the table has neither MACs, parameters nor latencies, or no file can be written there.
    """
    costs = cost_columns(table)
    if not costs:
        raise TableError("The table has no costs to draw over; `snnet profile` adds macs and params.")
    return fill_page(
        path,
        "page.html",
        {
            **_data(table, before, before_label, costs, score or table.score),
            "cost": cost if cost in costs else costs[0],
            "source": shlex.quote(source),
        },
        ["curve.js", "choice.js"],
        pictures,
        title=title or f"{counted(len(table), 'network')} in one",
        subtitle=_subtitle(table),
        gain=str(gain_if_known(table) or ""),
        footer=_footer(table),
    )


def write_report(
    table: StitchTable,
    directory: str | Path,
    *,
    before: StitchTable | None = None,
    before_label: str = "before training",
    cost: str = COST,
    score: str | None = None,
    title: str | None = None,
    source: str = "RUN",
    pictures: Mapping[str, Path] = MappingProxyType({}),
) -> dict[str, Path]:
    """Write `curve.png`, `curve.svg` and `index.html` into a directory and return their paths by name.

    See `draw_curve` and `write_page` for the arguments and errors.

    Args:
        table: Stitches with cost and score.
        directory: Made if it does not exist.
        before: The same stitches before, shown in grey.
        before_label: What the legend calls these.
        cost: Column along the x-axis; the page can switch to others.
        score: Column along the y-axis; `table.score` if None.
        title: Heading; one that counts stitches and anchors if None.
        source: What the commands that the page offers name.
        pictures: Caption -> PNG file that the page shows, too.

    Returns:
        Name of each file -> its path.
    """
    out = check_output(Path(directory), TableError)
    told: dict[str, Any] = {
        "before": before,
        "before_label": before_label,
        "cost": cost,
        "score": score,
        "title": title,
    }
    paths = {name: draw_curve(table, out / name, **told) for name in ("curve.png", "curve.svg")}
    return {**paths, "index.html": write_page(table, out / "index.html", source=source, pictures=pictures, **told)}


def _data(
    table: StitchTable, before: StitchTable | None, before_label: str, costs: list[str], score: str
) -> dict[str, Any]:
    series = series_of(table)
    group = {row.stitch: number for number, one in enumerate(series) for row in one.rows}
    extra = [name for name in table.columns if column(name).role == "cost" and column(name).higher_is_better]
    return {
        "score": score,
        "costs": costs,
        "columns": [_column(table, name) for name in dict.fromkeys([*costs, *extra, score])],
        "anchors": [
            {"name": name, "short": short, "depths": depths, "blocks": sum(depths)}
            for name, short, depths in zip(anchor_names(table), short_names(table), anchor_depths(table), strict=True)
        ],
        "series": [{"label": one.label, "color": one.color} for one in series],
        "rows": [_row(row, group.get(row.stitch, -1), [*costs, *extra, score], score) for row in table],
        "doubts": {name: doubts(table, name) for name in [*costs, *extra]},
        "unreliable": UNRELIABLE,
        "alone": ALONE,
        "before": before_label if before is not None else None,
        "views": {cost: _view(table, before, cost, score) for cost in costs},
    }


def _column(table: StitchTable, name: str) -> dict[str, Any]:
    axis = axis_of(table, name)
    return {
        "name": name,
        "label": axis.label,
        "title": axis.title,
        "scale": axis.scale,
        "unit": axis.unit,
        "missing": "not evaluated" if column(name).role == "score" else "not measured",
    }


def _row(row: StitchRow, series: int, columns: list[str], score: str) -> dict[str, Any]:
    predicted = {"error": row.values[score + ERROR]} if measured(row, score, score + ERROR) else {}
    return {
        **predicted,
        "index": row.index,
        "id": row.stitch,
        "route": [[segment.anchor, segment.start, segment.stop] for segment in row.route.segments],
        "series": series,
        "values": {name: row.values[name] for name in columns if measured(row, name)},
    }


def _view(table: StitchTable, before: StitchTable | None, cost: str, score: str) -> dict[str, Any]:
    """What the page needs to draw the stitches over one cost, with the best one for every budget."""
    have = [row.values[cost] for row in table if measured(row, cost)]
    ends = [min(have), max(have)]
    view: dict[str, Any] = {"ends": ends, "frontier": [], "choices": [], "range": [0, 1], "before": [], "alone": []}
    if not any(measured(row, cost, score) for row in table):
        return view
    position = {row.stitch: number for number, row in enumerate(table)}
    frontier = pareto_frontier(table, cost, score)
    steps = dict.fromkeys(row.values[cost] for row in frontier)
    # A page shows what was measured, on whichever machine that was.
    ranking = Ranking(table, score, [cost], any_machine=True)
    earlier = before if before is not None and {cost, score} <= set(before.columns) else None
    return view | {
        "frontier": [position[row.stitch] for row in frontier],
        "choices": [[at, position[ranking.best(Budget({cost: at})).stitch]] for at in steps],
        "range": score_range(table, earlier, cost, score),
        "alone": staircase(table, earlier, cost, score),
        "before": [[row.values[cost], row.values[score]] for row in earlier or () if measured(row, cost, score)],
    }


def _subtitle(table: StitchTable) -> str:
    names = anchor_names(table)
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
    return f"Stitched from {listed}: pick a budget, get the best network under it."


def _footer(table: StitchTable) -> str:
    facts = []
    if images := table.meta.get("images"):
        facts.append(f"scored on {counted(images, 'image')}")
    facts += [fact for fact in (describe_profile(table.meta), _day(table.meta.get("date"))) if fact]
    notes = ["MACs are multiply-adds of one forward pass at batch 1."]
    if any(doubts(table, name) for name in cost_columns(table)):
        notes.append(f"? marks an {UNRELIABLE}: the machine had other work; `snnet profile` measures it again.")
    return " ".join([*notes, " · ".join(facts) + "." * bool(facts)]).rstrip()


def _day(date: Any) -> str | None:
    """Return a time of ISO 8601 as people write the day, `29 November 2026`; None if it is no such text."""
    try:
        day = datetime.fromisoformat(date)
    except (TypeError, ValueError):
        return None
    return f"{day.day} {day:%B %Y}"
