"""The accuracy-cost curve as a picture, for papers and readmes."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from snnet.errors import TableError
from snnet.report.view import ALONE, UNRELIABLE, Axis, anchor_names, axis_of, score_range, series_of, staircase
from snnet.table import COST, ERROR, StitchRow, StitchTable, doubts, is_predicted, measured, pareto_frontier
from snnet.utils import check_output, counted, write_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

FORMATS = ("png", "svg", "pdf")
_DATE_KEY = {"svg": "Date", "pdf": "CreationDate"}
INK, MUTED, _FAINT, RULE = "#1f2328", "#656d76", "#b6bcc4", "#e6e8eb"
# Beyond so many stitches, dots are drawn smaller.
_CROWD = 200
_STEPS = [1, 2, 5, 10]
HALO = [withStroke(linewidth=3, foreground="white")]


def draw_curve(
    table: StitchTable,
    path: str | Path,
    *,
    before: StitchTable | None = None,
    before_label: str = "before training",
    cost: str = COST,
    score: str | None = None,
    title: str | None = None,
) -> Path:
    """Draw every stitch over its cost, the anchors starred and the frontier as a step line.

    Args:
        table: Stitches with costs and scores; those without a finite score are left out, and counted in the picture.
        path: Where to write; its suffix (.png, .svg, .pdf) decides the format. Written whole or not at all.
        before: An earlier table of the same stitches, drawn faintly; for instance after least squares only.
        before_label: What the legend calls `before`.
        cost: Column of the x axis.
        score: Column of the y axis; `table.score` if None.
        title: Heading; by default it says how many stitches of which anchors there are.

    Raises:
        TableError: If the format is unknown, a column is missing, or no stitch is scored.
    """
    score = score or table.score
    x, y = axis_of(table, cost), axis_of(table, score)
    low, high = score_range(table, before, cost, score)
    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    axes = figure.add_subplot()
    draw_frame(axes, x, y)
    axes.set_ylim(low, high)
    if before is not None:
        _draw_before(axes, before, before_label, x, y, low)
    _draw_steps(axes, table, before, x, y)
    _draw_errors(axes, table, x, y)
    s, width = (26, 0.7) if len(table) <= _CROWD else (9, 0.3)
    for series in series_of(table):
        points = points_of(series.rows, x, y)
        draw_marks(axes, points, s=s, color=series.color, linewidths=width, label=series.label, zorder=4)
    _draw_anchors(axes, table, x, y)
    _draw_doubts(axes, table, x, y)
    _head(axes, table, x, y, title)
    axes.margins(x=0.045)
    _legend(figure, axes)
    return save_figure(figure, path)


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure, whole or not at all, in the format of the suffix.

    Raises:
        TableError: If there is no such format, or no file can be written there.
    """
    check_output(Path(path), TableError, is_file=True)
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise TableError(f"A curve cannot be written as {Path(path).name!r}; end the name in .{', .'.join(FORMATS)}.")
    with write_aside(path) as partial:
        # The date of drawing says nothing about the table, and would change the file every time.
        figure.savefig(partial, format=kind, dpi=200, metadata=None if kind == "png" else {_DATE_KEY[kind]: None})
    return Path(path)


def draw_frame(axes: "Axes", x: Axis, y: Axis) -> None:
    """Set up axes: ticks, units and labels."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="both", length=0, labelsize=9, labelcolor=MUTED, pad=6)
    axes.tick_params(axis="x", length=3.5, color=_FAINT, pad=4)
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=_STEPS))
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=_STEPS))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(x.title, fontsize=10, color=INK, labelpad=6)
    axes.set_ylabel(y.title, fontsize=10, color=INK, labelpad=8)


def points_of(rows: Iterable[StitchRow], x: Axis, y: Axis) -> NDArray[np.float64]:
    """Return costs and scores `(2, N)` of the N rows that have both, each in its unit."""
    kept = [row.values for row in rows if measured(row, x.column, y.column)]
    return np.array([[values[axis.column] / axis.scale for values in kept] for axis in (x, y)])


def draw_marks(axes: "Axes", points: NDArray[np.float64], **how: Any) -> None:
    """Draw marks with a white edge; `how` is what `Axes.scatter` takes."""
    axes.scatter(*points, edgecolors="white", **how)


def size_marks(legend: "Legend", size: float, **others: float) -> None:
    """Give the marks of a legend one size, and those of some labels another."""
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([others.get(str(handle.get_label()), size)])


def _draw_before(axes: "Axes", before: StitchTable, label: str, x: Axis, y: Axis, low: float) -> None:
    points = points_of(before, x, y)
    below = np.count_nonzero(points[1] < low)
    note = f" ({below} below the axis)" if below else ""
    draw_marks(axes, points, s=16, color="#cfd4da", linewidths=0.5, label=label + note, zorder=2)


def _draw_steps(axes: "Axes", table: StitchTable, before: StitchTable | None, x: Axis, y: Axis) -> None:
    """Draw the frontier, and that of the anchors alone under it, up to the dearest stitch."""
    frontier = points_of(pareto_frontier(table, x.column, y.column), x, y).T.tolist()
    alone = [(at / x.scale, value / y.scale) for at, value in staircase(table, before, x.column, y.column)]
    last = points_of(table, x, y)[0].max()
    for points, label, style in ((frontier, "frontier", "-"), (alone, ALONE, "--")):
        if points:
            at, scores = zip(*points, (last, points[-1][1]), strict=True)
            axes.step(at, scores, style, where="post", color=INK, linewidth=1.1, alpha=0.55, label=label, zorder=3)


def _draw_errors(axes: "Axes", table: StitchTable, x: Axis, y: Axis) -> None:
    """Draw a bar of one standard deviation each way through every predicted score."""
    rows = [row for row in table if is_predicted(row, y.column) and measured(row, x.column, y.column)]
    if rows:
        errors = np.array([row.values[y.column + ERROR] / y.scale for row in rows])
        at, middle = points_of(rows, x, y)
        axes.vlines(at, middle - errors, middle + errors, color=_FAINT, linewidth=0.9, label="predicted", zorder=3)


def _draw_doubts(axes: "Axes", table: StitchTable, x: Axis, y: Axis) -> None:
    """Draw a ring around every stitch whose cost is an unreliable time."""
    at, scores = points_of([table[stitch] for stitch in doubts(table, x.column)], x, y)
    if len(at):
        axes.scatter(at, scores, s=150, facecolors="none", edgecolors=INK, linestyles=":", label=UNRELIABLE, zorder=5)


def _draw_anchors(axes: "Axes", table: StitchTable, x: Axis, y: Axis) -> None:
    rows = [row for row in table.anchors if measured(row, x.column, y.column)]
    names, points = anchor_names(table), points_of(rows, x, y)
    draw_marks(axes, points, s=210, marker="*", color=INK, linewidths=0.9, label="anchors", zorder=6)
    low, high = axes.get_xlim()
    for row, point in zip(rows, points.T.tolist(), strict=True):
        # An anchor lies under the curve, where there is room beside and under it, but not at the right end.
        left = point[0] > low + 0.75 * (high - low)
        axes.annotate(
            names[row.route.anchors[0]],
            point,
            xytext=(6, 10) if left else (8, -15),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=9,
            fontweight="bold",
            color=INK,
            path_effects=HALO,
            zorder=7,
        )


def _legend(figure: Figure, axes: "Axes") -> None:
    handles, labels = axes.get_legend_handles_labels()
    # The anchors first, what came before last.
    order = sorted(range(len(labels)), key=lambda n: handles[n].get_zorder() == 2)
    order.sort(key=lambda n: handles[n].get_zorder() != 6)
    legend = figure.legend(
        [handles[n] for n in order],
        [labels[n] for n in order],
        loc="outside lower left",
        ncols=min(len(labels), 5),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handletextpad=0.4,
        columnspacing=1.6,
        scatterpoints=1,
    )
    size_marks(legend, 30, anchors=90, **{UNRELIABLE: 90})


def _head(axes: "Axes", table: StitchTable, x: Axis, y: Axis, title: str | None) -> None:
    shown = sum(measured(row, x.column, y.column) for row in table)
    scored = sum(measured(row, y.column) for row in table)
    counts = {
        "predicted": sum(is_predicted(row, y.column) for row in table),
        "not evaluated": len(table) - scored,
        f"without {x.label}": scored - shown,
    }
    hidden = "".join(f" · {count:,} {what}" for what, count in counts.items() if count)
    frontier = len(pareto_frontier(table, x.column, y.column))
    heading = (
        title or f"{counted(len(table), 'network')} in one, stitched from {counted(len(anchor_names(table)), 'anchor')}"
    )
    axes.set_title(heading, loc="left", fontsize=13, fontweight="bold", color=INK, pad=26)
    note = f"{y.label} over {x.label} · {shown:,} shown, {frontier} of them on the frontier{hidden}"
    axes.annotate(
        note, (0, 1), xycoords="axes fraction", xytext=(0, 10), textcoords="offset points", fontsize=9, color=MUTED
    )
