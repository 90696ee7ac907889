"""A search as a picture: all candidates, and what was chosen of them."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from snnet.errors import TableError
from snnet.report.plots import HALO, INK, MUTED, draw_frame, save_figure, size_marks
from snnet.report.view import PALETTE, Axis, anchor_names, axis_of
from snnet.space import Stitch
from snnet.table import COST, DIVERGENCE, EXPECTED, StitchRow, StitchTable, measured
from snnet.utils import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREY, _FAINT = "#9aa2ab", "#dfe3e8"


def draw_search(table: StitchTable, path: str | Path, chosen: Collection[Stitch], *, cost: str = COST) -> Path:
    """Draw how far each candidate answers from the largest anchor, over its cost; higher is nearer.

    Candidates that were run are grey, those whose divergence is only expected faint, and the chosen ones in color,
    joined by a step line.

    Args:
        table: All candidates of a search.
        path: Where to write; its suffix (.png, .svg, .pdf) decides the format. Written whole or not at all.
        chosen: The stitches that were chosen.
        cost: Column of the x axis.

    Raises:
        TableError: If the format is unknown, no file can be written there, or nothing was run.
    """
    run = [row for row in table if measured(row, cost, DIVERGENCE)]
    if not run:
        raise TableError("No candidate of this table was run; draw the table of a search.")
    positive = [row.values[DIVERGENCE] for row in run if row.values[DIVERGENCE] > 0]
    floor = min(positive, default=1e-3) / 2
    x, y = axis_of(table, cost), Axis(DIVERGENCE, "Divergence from the largest anchor", 1.0, "nats")
    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    axes = figure.add_subplot()
    draw_frame(axes, x, y)
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.invert_yaxis()

    def points(rows: Collection[StitchRow], name: str) -> tuple[list[float], list[float]]:
        return [row.values[cost] / x.scale for row in rows], [max(row.values[name], floor) for row in rows]

    hoped = [row for row in table if measured(row, cost, EXPECTED) and DIVERGENCE not in row.values]
    axes.scatter(*points(hoped, EXPECTED), s=7, color=_FAINT, linewidths=0, label="expected", zorder=1)
    axes.scatter(*points(run, DIVERGENCE), s=9, color=_GREY, linewidths=0, label="run", zorder=2)
    kept = sorted((row for row in run if row.route in chosen), key=lambda row: row.values[cost])
    at, values = points(kept, DIVERGENCE)
    best = [min(values[: number + 1]) for number in range(len(values))]
    axes.step(at, best, where="post", color=INK, linewidth=1.1, alpha=0.55, label="frontier", zorder=3)
    found = [row for row in kept if not row.route.is_anchor]
    axes.scatter(*points(found, DIVERGENCE), s=34, color=PALETTE[0], edgecolors="white", label="chosen", zorder=4)
    whole = [row for row in run if row.route.is_anchor]
    stars = points(whole, DIVERGENCE)
    axes.scatter(*stars, s=210, marker="*", color=INK, edgecolors="white", label="anchors", zorder=5)
    beside: dict[str, Any] = {
        "textcoords": "offset points",
        "ha": "right",
        "fontsize": 9,
        "color": INK,
        "path_effects": HALO,
    }
    for row, at_cost, value in zip(whole, *stars, strict=True):
        axes.annotate(anchor_names(table)[row.route.anchors[0]], (at_cost, value), xytext=(-8, -14), **beside)
    _head(figure, axes, f"{counted(len(chosen), 'stitch')} chosen among {len(table):,} candidates", len(run), y)
    return save_figure(figure, path)


def _head(figure: Figure, axes: "Axes", title: str, run: int, y: Axis) -> None:
    """Draw title, note and legend."""
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=26)
    note = f"{y.label}, on held-out images · {run:,} routes run"
    axes.annotate(
        note, (0, 1), xycoords="axes fraction", xytext=(0, 10), textcoords="offset points", fontsize=9, color=MUTED
    )
    legend = figure.legend(loc="outside lower left", ncols=5, frameon=False, fontsize=9, labelcolor=INK)
    size_marks(legend, 30, anchors=90)
