"""`snnet demo`: the whole way, in minutes."""

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from snnet.cli.console import cell, loading, progress, say, show, show_choices, show_gain, show_table
from snnet.cli.options import Directory, Seed, writable
from snnet.table import COST, SCORE, column, kinds_of
from snnet.utils import counted, human

if TYPE_CHECKING:
    from snnet.recipes import DemoResult

Family = Literal["vit", "cnn", "swin", "cnn-vit"]


def demo(*, family: Family = "vit", output: Directory | None = None, seed: Seed | None = None) -> None:
    """Watch small pretrained models become dozens of networks in one, in minutes, on a CPU and without a download.

    The anchors that come with the package are stitched, the stitching layers fitted by least squares, all stitches
    evaluated on images of clothes (Fashion-MNIST), fine-tuned together, and evaluated again. Ends with a table, the
    best stitch under three budgets, a picture, and an interactive page.

    Args:
        family: vit (three plain ViTs, 71 stitches), cnn (two ResNets of unequal depth), swin (three hierarchical
            ViTs), or cnn-vit (a ResNet into a Swin).
        output: Directory for the network, the tables, the curve and the page; by default snnet-demo, for the other
            families with their name behind it.
        seed: Decides calibration images, order of the data, and stitches drawn.

    Examples:
        snnet demo
        snnet demo --family cnn-vit
        snnet demo --output /tmp/snnet-demo --seed 1
    """
    loading()
    from snnet.recipes import run_demo

    directory = writable(output or Path("snnet-demo" if family == "vit" else f"snnet-demo-{family}"))
    result = run_demo(directory, family=family, seed=seed, stage=progress, say=say)
    show_stitches(result)
    show("")
    show_gain(result.after)
    show("")
    show_choices(result.after, result.choices)
    show("")
    show_summary(result)
    show("")
    for name in ("curve.png", "curve.svg", "index.html"):
        show(f"Written {result.files[name]}")
    budget = human(max(result.choices), 2).replace(" ", "")
    show(f"Network and table in {directory}; {result.seconds:.0f} s in all.")
    show(f"Next: snnet select {directory} --macs {budget}")


def show_stitches(result: "DemoResult") -> None:
    """Print every stitch before and after."""
    costs, score = kinds_of("cost"), column(SCORE).heading
    rows = []
    for row in result.after:
        numbers = [*(cell(row, kind.name) for kind in costs), cell(result.before[row.stitch], SCORE), cell(row, SCORE)]
        rows.append([str(row.index), row.stitch, *numbers])
    headings = [*(kind.heading for kind in costs), f"{score} before", f"{score} after"]
    show_table(["#", "stitch", *headings], rows, spare=headings[1:-1])


def show_summary(result: "DemoResult") -> None:
    """Print anchors and stitches before and after, and how near the stitches came to the anchors' lines."""
    names = result.after.meta.get("anchors", [])
    rows = [
        [name, cell(row, COST), cell(row, SCORE), cell(result.after[row.stitch], SCORE)]
        for name, row in zip(names, result.before.anchors, strict=True)
    ]
    tables = (result.before.stitched, result.after.stitched)
    for title, function in (("mean", fmean), ("lowest", min), ("highest", max)):
        scores = [column(SCORE).text(function([row.values[SCORE] for row in table])) for table in tables]
        rows.append([f"{counted(len(tables[0]), 'stitch')}, {title}", "", *scores])
    gaps = [f"{result.mean_gap(table):+.2f}" for table in tables]
    drops = [f"{-result.worst_drop(table):+.2f}" for table in tables]
    rows.append(["mean gap to the lines between the anchors", "", *gaps])
    rows.append(["worst stitch against the weaker of its anchors", "", *drops])
    rows.append(["largest loss of an anchor", "", "", f"{max(result.anchor_losses.values()):+.2f}"])
    title = "Top-1 in percent: after least squares, and after fine-tuning"
    show_table(["", column(COST).heading, "before", "after"], rows, title=title, left=("",))
