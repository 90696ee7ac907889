"""Several tables in one picture: the curves of variants, side by side or one over the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from snnet.errors import TableError
from snnet.report.plots import INK, MUTED, draw_frame, draw_marks, points_of, save_figure, size_marks
from snnet.report.view import PALETTE, Axis, axis_of
from snnet.table import COST, StitchTable, pareto_frontier

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Panel:
    """One part of a picture, with axes of its own.

    Attributes:
        title: Heading; may be empty.
        tables: Label -> stitches with costs and scores.
    """

    title: str
    tables: Mapping[str, StitchTable]


def draw_comparison(
    panels: Sequence[Panel], path: str | Path, *, cost: str = COST, score: str | None = None, title: str = ""
) -> Path:
    """Draw each table of each panel in a color of its own: dots for stitches, stars for anchors, lines for frontiers.

    Args:
        panels: From left to right; a label has the same color in all of them.
        path: Where to write, whole or not at all; its suffix (.png, .svg, .pdf) decides the format.
        cost: Column of the x axes.
        score: Column of the y axes; the first table's score if None.
        title: Heading of the picture.

    Raises:
        TableError: If the format is unknown, a table lacks a column, or there is nothing to draw.
    """
    labels = list(dict.fromkeys(label for panel in panels for label in panel.tables))
    if not labels:
        raise TableError("There is no table to draw; give at least one panel with one table.")
    colors = {label: PALETTE[n % len(PALETTE)] for n, label in enumerate(labels)}
    figure = Figure(figsize=(max(7.6, 5.4 * len(panels)), 4.8), layout="constrained")
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), number + 1)
        _draw_panel(axes, panel, colors, cost, score)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return save_figure(figure, path)


def _draw_panel(axes: "Axes", panel: Panel, colors: Mapping[str, str], cost: str, score: str | None) -> None:
    # One unit for all tables of a panel: that of the most expensive.
    x = max((axis_of(table, cost) for table in panel.tables.values()), key=lambda axis: axis.scale)
    first = next(iter(panel.tables.values()))
    y = axis_of(first, score or first.score)
    draw_frame(axes, x, y)
    for label, table in panel.tables.items():
        _draw_table(axes, table, label, colors[label], x, y)
    axes.set_title(panel.title, loc="left", fontsize=10, color=MUTED)
    legend = axes.legend(frameon=False, fontsize=9, labelcolor=INK, handletextpad=0.4, loc="best")
    size_marks(legend, 36)


def _draw_table(axes: "Axes", table: StitchTable, label: str, color: str, x: Axis, y: Axis) -> None:
    stitched, anchors = points_of(table.stitched, x, y), points_of(table.anchors, x, y)
    frontier = points_of(pareto_frontier(table, x.column, y.column), x, y)
    if not stitched.size + anchors.size:
        raise TableError(f"No stitch of {label!r} has a finite {x.column!r} and {y.column!r}; evaluate it first.")
    axes.step(*frontier, where="post", color=color, linewidth=1.1, alpha=0.6, zorder=3)
    size, named = 22 if len(table) <= 200 else 8, label if stitched.size else ""
    draw_marks(axes, stitched, s=size, color=color, linewidths=0.5, label=named, zorder=4)
    alone = "" if stitched.size else label
    draw_marks(axes, anchors, s=130, marker="*", color=color, linewidths=0.8, label=alone, zorder=5)
