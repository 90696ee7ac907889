# Tested in tests/report/test_bubbles_browser.py.
"""Models as dots over their cost, as large as their parameters: a picture and a page that works offline."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from snnet.errors import TableError
from snnet.report.filling import fill_page
from snnet.report.plots import INK, draw_frame, save_figure, size_marks
from snnet.report.view import PALETTE, Axis, axis_of
from snnet.table import COST, SCORE, StitchTable, column

_MACS, _TOP1 = Axis(COST, column(COST).title, 1e9, "G"), axis_of(StitchTable([]), SCORE)
_MAIN = "#d1242f"


@dataclass(frozen=True)
class Bubble:
    """One model.

    Attributes:
        name: Shown under the pointer.
        macs: Multiply-adds of one forward pass.
        params: Parameters.
        top1: Percent.
        note: A further fact.
    """

    name: str
    macs: float
    params: float
    top1: float
    note: str = ""


@dataclass(frozen=True)
class BubbleGroup:
    """Models in one color, with one entry of the legend; `main` ones are drawn on top, in full color."""

    label: str
    bubbles: tuple[Bubble, ...]
    main: bool = False


def write_bubble_page(groups: Sequence[BubbleGroup], path: str | Path, *, title: str, subtitle: str = "") -> Path:
    """Write a page whose legend entries switch groups on and off and whose dots tell their model under the pointer.

    Args:
        groups: Drawn in this order.
        path: Where to write, whole or not at all.
        title: Heading.
        subtitle: Line under the heading.

    Raises:
        TableError: If there is no model.
    """
    drawn = [
        {"label": group.label, "color": color, "main": group.main, "models": list(map(astuple, group.bubbles))}
        for group, color in _colored(groups)
    ]
    told = subtitle or "Each dot is a model, as large as its parameters; a legend entry hides it."
    return fill_page(path, "bubbles.html", {"groups": drawn}, ["bubbles.js"], title=title, subtitle=told)


def draw_bubbles(groups: Sequence[BubbleGroup], path: str | Path, *, title: str) -> Path:
    """Draw the same as a picture; the suffix of `path` decides the format.

    Raises:
        TableError: If the format is unknown or there is no model.
    """
    figure = Figure(figsize=(9.2, 5.6), layout="constrained")
    axes = figure.add_subplot()
    draw_frame(axes, _MACS, _TOP1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for number, (group, color) in enumerate(_colored(groups)):
        axes.scatter(
            [bubble.macs / _MACS.scale for bubble in group.bubbles],
            [bubble.top1 for bubble in group.bubbles],
            # In square points; 100 M parameters are a dot 10 points wide.
            s=[max(5.0, bubble.params / 1e6 * 0.785) for bubble in group.bubbles],
            color=color,
            alpha=0.9 if group.main else 0.35,
            edgecolors="white",
            linewidths=0.4,
            label=f"{group.label} ({len(group.bubbles)})",
            zorder=4 + group.main + number / 100,
        )
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=12)
    legend = axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower right")
    size_marks(legend, 40)
    return save_figure(figure, path)


def _colored(groups: Sequence[BubbleGroup]) -> list[tuple[BubbleGroup, str]]:
    if not any(group.bubbles for group in groups):
        raise TableError("There is no model to draw; give a network's table or a file of models with rows.")
    main = sum(group.main for group in groups)
    reds = iter((_MAIN, "#0b63ce", "#8250df", INK)) if main <= 4 else iter([_MAIN] * main)
    quiet = iter(PALETTE * len(groups))
    return [(group, next(reds) if group.main else next(quiet)) for group in groups]
