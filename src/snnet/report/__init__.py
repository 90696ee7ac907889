"""Seeing a table of stitches: the accuracy-cost curve as a picture and as an interactive page."""

from pathlib import Path

from snnet.report.bubbles import Bubble, BubbleGroup, draw_bubbles, write_bubble_page
from snnet.report.compare import Panel, draw_comparison
from snnet.report.page import write_page
from snnet.report.plots import draw_curve
from snnet.report.training import draw_training
from snnet.table import StitchTable

__all__ = [
    "Bubble",
    "BubbleGroup",
    "Panel",
    "draw_bubbles",
    "draw_comparison",
    "draw_curve",
    "draw_training",
    "write_bubble_page",
    "write_page",
    "write_report",
]


def write_report(
    table: StitchTable,
    directory: str | Path,
    *,
    before: StitchTable | None = None,
    before_label: str = "before training",
    cost: str = "macs",
    score: str = "top1",
    title: str | None = None,
) -> dict[str, Path]:
    """Write `curve.png`, `curve.svg` and `index.html` into a directory and return their paths by name.

    See `draw_curve` and `write_page` for the arguments and errors.
    """
    out = Path(directory)
    paths = {
        name: draw_curve(
            table, out / name, before=before, before_label=before_label, cost=cost, score=score, title=title
        )
        for name in ("curve.png", "curve.svg")
    }
    page = write_page(table, out / "index.html", before=before, before_label=before_label, score=score, title=title)
    return {**paths, "index.html": page}
