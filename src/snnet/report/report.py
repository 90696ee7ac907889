# Tested in tests/report/test_page.py.
"""All pictures and pages of a table in one directory."""

from pathlib import Path

from snnet.report.page import write_page
from snnet.report.plots import draw_curve
from snnet.table import COST, SCORE, StitchTable


def write_report(
    table: StitchTable,
    directory: str | Path,
    *,
    before: StitchTable | None = None,
    before_label: str = "before training",
    cost: str = COST,
    score: str = SCORE,
    title: str | None = None,
) -> dict[str, Path]:
    """Write `curve.png`, `curve.svg` and `index.html` into a directory and return their paths by name.

    See `draw_curve` and `write_page` for the arguments and errors.

    Args:
        table: Stitches with cost and score.
        directory: Made if it does not exist.
        before: The same stitches before, shown in grey.
        before_label: What the legend calls these.
        cost: Column along the x-axis of the pictures.
        score: Column along the y-axis.
        title: Heading; one that counts stitches and anchors if None.

    Returns:
        Name of each file -> its path.
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
