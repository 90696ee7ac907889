"""Scores of a few stitches over the steps of training, as a picture."""

import json
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnet.report.plots import INK, MUTED, RULE, save_figure
from snnet.report.view import PALETTE, anchor_names, axis_of, series_of
from snnet.space import Stitch
from snnet.table import StitchTable, column
from snnet.utils import counted

Curves = dict[str, list[tuple[int, float]]]


def read_curves(log: str | Path) -> tuple[str, Curves]:
    """Return the score that a run's log has, such as `top1`, and for each stitch its `(step, score)` in order."""
    found, curves = "", Curves()
    for line in Path(log).read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue  # a kill can cut the last line short
        for name, value in record.items():
            score, _, stitch = name.partition("/")
            if stitch[:1].isdigit():
                found = score
                curves.setdefault(stitch, []).append((record["step"], value))
    return found, curves


def draw_training(log: str | Path, path: str | Path, table: StitchTable) -> Path | None:
    """Draw a score over steps, a line per stitch: anchors dark, others in the color of their curve.

    Args:
        log: The run's `log.jsonl`.
        path: Where to write; PNG, SVG or PDF by its suffix. Written whole or not at all.
        table: For the names of the anchors and the colors.

    Returns:
        The path; None, and no file, if the log has no such scores.
    """
    score, curves = read_curves(log)
    return save_figure(_figure(score, curves, table), path) if curves else None


def _figure(score: str, curves: Curves, table: StitchTable) -> Figure:
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
    least = 1.0 if column(score).unit == "%" else 0.0
    for (_, step, label), height in zip(sorted(ends), _apart(sorted(end[0] for end in ends), least), strict=True):
        axes.annotate(label, (step, height), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7)
    axes.set_xlabel("step", fontsize=10, color=INK)
    axes.set_ylabel(axis_of(table, score).title, fontsize=10, color=INK)
    heading = f"{counted(len(curves), 'stitch')} while all {len(table):,} were trained"
    axes.set_title(heading, loc="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _apart(heights: list[float], least: float) -> list[float]:
    """Return rising heights moved up where two labels would lie on each other; a picture has room for about 30.

    Args:
        heights: Where the labels would be.
        least: The picture is at least so high.
    """
    gap = max(heights[-1] - heights[0], least) / 30
    moved = heights[:1]
    for height in heights[1:]:
        moved.append(max(height, moved[-1] + gap))
    return moved
