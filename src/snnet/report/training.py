"""Top-1 of a few stitches over the steps of training, as a picture."""

import json
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnet.report.plots import INK, MUTED, RULE, save_figure
from snnet.report.view import PALETTE, anchor_names, axis_of, series_of
from snnet.space import Stitch
from snnet.table import SCORE, StitchTable
from snnet.utils import counted

_PREFIX = f"{SCORE}/"

Curves = dict[str, list[tuple[int, float]]]


def read_curves(log: str | Path) -> Curves:
    """Return, for each stitch that a run's log has scores of, its `(step, top-1 in percent)` in order."""
    curves: Curves = {}
    for line in Path(log).read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue  # a kill can cut the last line short
        for name, value in record.items():
            if name.startswith(_PREFIX):
                curves.setdefault(name.removeprefix(_PREFIX), []).append((record["step"], value))
    return curves


def draw_training(log: str | Path, path: str | Path, table: StitchTable) -> Path | None:
    """Draw top-1 over steps, a line per stitch: anchors dark, others in the color of their curve.

    Args:
        log: The run's `log.jsonl`.
        path: Where to write; PNG, SVG or PDF by its suffix. Written whole or not at all.
        table: For the names of the anchors and the colors.

    Returns:
        The path; None, and no file, if the log has no such scores.
    """
    curves = read_curves(log)
    return save_figure(_figure(curves, table), path) if curves else None


def _figure(curves: Curves, table: StitchTable) -> Figure:
    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.tick_params(length=0, labelsize=9, labelcolor=MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    names, colors = anchor_names(table), {row.stitch: one.color for one in series_of(table) for row in one.rows}
    ends: list[tuple[float, int, str]] = []
    for stitch, points in curves.items():
        route = Stitch(stitch)
        steps, scores = zip(*points, strict=True)
        if route.is_anchor:
            label, color, width = names[route.anchors[0]], INK, 1.8
        else:
            label, color, width = stitch, colors.get(stitch, PALETTE[-1]), 1.0
        axes.plot(steps, scores, marker="o", markersize=2.5, color=color, linewidth=width)
        ends.append((scores[-1], steps[-1], label))
    for (_, step, label), height in zip(sorted(ends), _apart(sorted(end[0] for end in ends)), strict=True):
        axes.annotate(label, (step, height), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_xlabel("step", fontsize=10, color=INK)
    axes.set_ylabel(axis_of(table, SCORE).title, fontsize=10, color=INK)
    heading = f"{counted(len(curves), 'stitch')} while all {len(table):,} were trained"
    axes.set_title(heading, loc="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _apart(heights: list[float]) -> list[float]:
    """Return rising heights moved up where two labels would lie on each other; a picture has room for about 30."""
    gap = max(heights[-1] - heights[0], 1.0) / 30
    moved = heights[:1]
    for height in heights[1:]:
        moved.append(max(height, moved[-1] + gap))
    return moved
