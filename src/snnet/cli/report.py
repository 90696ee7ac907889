# Tested in tests/cli/test_measuring.py.
"""`snnet report`: the accuracy-cost curve."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from snnet.cli.console import loading, show, show_gain, show_rows
from snnet.cli.options import Directory
from snnet.cli.sources import LOG, RECIPE, read_table
from snnet.table import COST
from snnet.utils import counted


def report(
    source: str,
    /,
    *,
    output: Directory,
    before: str | None = None,
    cost: str = COST,
    score: str | None = None,
    title: str | None = None,
    measured: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Draw the accuracy-cost curve as PNG and SVG and as one interactive HTML page that works offline.

    Where training has looked at a few stitches now and then (the recipe's evaluation.every), their top-1 over the
    steps is drawn too, as training.png.

    Args:
        source: Directory of a saved network with a table, or a table file.
        output: Directory to write curve.png, curve.svg and index.html in.
        before: Table to draw faintly behind, such as the one before training.
        cost: Column of the x axis.
        score: Column of the y axis; by default what the network is chosen by, such as top1 or miou.
        title: Heading.
        measured: Leave out scores that are predicted (`snnet evaluate --predict`).

    Examples:
        snnet report runs/fm --output runs/fm/report
        snnet report after.jsonl --before before.jsonl --cost latency_ms --output report
    """
    from snnet.report import draw_training, write_report
    from snnet.table import pareto_frontier, without_predictions

    if (recipe := Path(source) / RECIPE).is_file():
        loading()
        from snnet.recipes import Recipe

        Recipe.load(recipe).data.check_outside(output)
    table = without_predictions(read_table(source)) if measured else read_table(source)
    earlier = read_table(before) if before else None
    paths = write_report(table, output, before=earlier, cost=cost, score=score, title=title, source=source)
    log = Path(source) / LOG
    if log.is_file() and (drawn := draw_training(log, output / "training.png", table)):
        paths["training.png"] = drawn
    frontier = pareto_frontier(table, cost, score)
    show_gain(table)
    show_rows(frontier, names=dict.fromkeys((cost, "params", score or table.score)))
    show(f"{len(frontier):,} of {counted(len(table), 'stitch')} on the frontier")
    for path in paths.values():
        show(f"Written {path}")
