"""`snnet demo`: the whole way, in minutes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from snnet.cli.console import cell, loading, progress, say, show, show_choices, show_gain, show_rows, show_table
from snnet.cli.options import Directory, Seed, writable
from snnet.errors import RecipeError
from snnet.table import COST, StitchTable, column, frontier_gain, kinds_of, select
from snnet.utils import human

if TYPE_CHECKING:
    from snnet.recipes import DemoResult

Family = Literal["vit", "cnn", "swin", "cnn-vit"]
Task = Literal["classification", "segmentation"]


def demo(
    *,
    family: Family | None = None,
    model: Literal["vit", "cnn", "swin"] | None = None,
    task: Task = "classification",
    output: Directory | None = None,
    minutes: Annotated[float, Parameter(validator=Number(gt=0))] = 4.0,
    steps: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    seed: Seed | None = None,
) -> None:
    """Watch small pretrained models become dozens of networks in one, in minutes, on a CPU and without a download.

    The anchors that come with the package are searched for the routes worth having, and these evaluated on images of
    clothes (Fashion-MNIST): a first frontier, without training. Then they are fine-tuned together, and evaluated again.
    Ends with a table, the best stitch under three budgets, a picture, and an interactive page.

    Args:
        family: vit (three plain ViTs; by default), cnn (two ResNets), swin (three hierarchical ViTs), or cnn-vit (a
            ResNet and a Swin).
        model: In place of a family, one model alone, the largest of its family: its own shorter versions, without any
            training.
        task: classification, or segmentation: a class for each pixel of scenes that are composed of the clothes, by the
            ResNets (or swin or vit) with a head over their feature maps.
        output: Directory for the network, the tables, the curve and the page; by default snnet-demo, for others with
            the name of the family or model behind it.
        minutes: Time for all of it; how many steps are trained follows from the speed of this machine.
        steps: Train this many steps, whatever the time they take: the same result on every run.
        seed: Decides calibration images, order of the data, and stitches drawn.

    Examples:
        snnet demo
        snnet demo --model vit
        snnet demo --family cnn-vit --minutes 2
        snnet demo --task segmentation
        snnet demo --output /tmp/snnet-demo --steps 500 --seed 1
    """
    loading()
    from snnet.recipes import Watching, run_demo, run_one

    if family is not None and model is not None:
        raise RecipeError(f"--family {family} trains several models and --model {model} takes one alone; give one.")
    if model is not None and task != "classification":
        raise RecipeError(f"--model {model} takes one model for classification alone; leave it or --task {task} out.")
    name = family or model or "vit"
    of = "" if (family, model) in ((None, None), ("vit", None)) else f"-{'one-' if model else ''}{name}"
    of = of if task == "classification" else f"-{task}"
    directory = writable(output or Path(f"snnet-demo{of}"))
    watching = Watching(progress, say, show_first, show_look)
    if model is not None:
        table, files = run_one(
            directory, family=model, changes={} if seed is None else {"run.seed": seed}, watching=watching
        )
        show_rows(table)
        show("")
        show_gain(table)
        _show_end(files, directory, max(row.macs for row in table.stitched))
        return
    how: dict[str, Any] = {"task": task, "seed": seed, "steps": steps, "minutes": minutes}
    result = run_demo(directory, family=family, **how, watching=watching)
    show_stitches(result)
    show("")
    show_gain(result.after)
    show("")
    show_choices(result.after, result.choices)
    show("")
    show_summary(result)
    _show_end(result.files, directory, max(result.choices))
    show(f"{result.seconds:.0f} s in all.")


def _show_end(files: Mapping[str, Path], directory: Path, budget: float) -> None:
    show("")
    for name in ("curve.png", "curve.svg", "masks.png", "index.html"):
        if name in files:
            show(f"Written {files[name]}")
    show(f"Network and table in {directory}.")
    show(f"Next: snnet select {directory} --macs {human(budget, 2).replace(' ', '')}")


_BUDGETS = 6
"""Budgets that a look is shown for."""


def show_first(before: StitchTable) -> None:
    """Print how good the stitches are before training."""
    show("Without training: " + str(frontier_gain(before)))
    show("The network, its curve and its page are of use now; fine-tuning begins. Seen on some of the images:")


def show_look(step: int, table: StitchTable) -> None:
    """Print the best top-1 within each of some budgets; before training with a heading, and the anchors alone."""
    ends = [row.macs for row in table.anchors]
    low, high = min(ends), max(ends)
    budgets = [low + (high - low) * number / (_BUDGETS - 1) for number in range(_BUDGETS)]
    if step == 0:
        show(f"{'step':>8}" + "".join(f"{human(budget, 2) + ' MACs':>12}" for budget in budgets))
        show(_look("anchors", table.anchors, budgets))
    show(_look(f"{step:,}", table, budgets))


def _look(title: str, table: StitchTable, budgets: Sequence[float]) -> str:
    return f"{title:>8}" + "".join(f"{cell(table[select(table, macs=budget)], table.score):>12}" for budget in budgets)


def show_stitches(result: "DemoResult") -> None:
    """Print every stitch before and after."""
    costs, score = kinds_of("cost"), result.after.score
    rows = []
    for row in result.after:
        numbers = [*(cell(row, kind.name) for kind in costs), cell(result.before[row.stitch], score), cell(row, score)]
        rows.append([str(row.index), row.stitch, *numbers])
    headings = [*(kind.heading for kind in costs), *(f"{column(score).heading} {when}" for when in ("before", "after"))]
    show_table(["#", "stitch", *headings], rows, spare=headings[1:-1])


def show_summary(result: "DemoResult") -> None:
    """Print anchors and stitches before and after training."""
    names, score = result.after.meta.get("anchors", []), result.after.score
    rows = [
        [name, cell(row, COST), cell(row, score), cell(result.after[row.stitch], score)]
        for name, row in zip(names, result.before.anchors, strict=True)
    ]
    gains = [frontier_gain(table) for table in (result.before, result.after)]
    rows.append(["height of the frontier", "", *(f"{gain.frontier.percent:.2f}" for gain in gains)])
    rows.append(["gain over keeping the anchors", "", *(f"{gain.points:+.2f}" for gain in gains)])
    rows.append(["largest loss of an anchor", "", "", f"{max(result.anchor_losses.values()):+.2f}"])
    known = column(score)
    title = f"{known.label}{' in percent' * (known.unit == '%')}: before training, and after"
    show_table(["", column(COST).heading, "before", "after"], rows, title=title, left=("",))
