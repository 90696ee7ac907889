# Tested in tests/cli/test_measuring.py.
"""`snnet evaluate`: the accuracy of every stitch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from snnet.cli.console import show, show_json
from snnet.cli.overrides import only_given
from snnet.cli.progress import progress
from snnet.cli.sources import TABLE, data_of, is_network, saved_network
from snnet.cli.stitches import Stitches
from snnet.cli.tables import show_rows, table_json
from snnet.cli.values import Device, Json, OtherData, OtherRoot, default_device
from snnet.errors import DataError
from snnet.table import ERROR, SCORE, kinds_of
from snnet.utils import Precision

if TYPE_CHECKING:
    from snnet.evaluation import PredictedScores

evaluate = App(
    name="evaluate",
    help_epilogue="""Examples:

    snnet evaluate runs/fm
    snnet evaluate runs/deit --device cuda --precision bf16
    snnet evaluate deit_ti_s_b@snnet_deit.pth --data folder --root /data/imagenet --output published.jsonl
    snnet evaluate runs/deit --data folder --root /data/other --predict --error 0.3 --at-most 0.25
""",
)


@evaluate.default
def evaluate_network(
    network: str,
    /,
    *,
    data: OtherData = None,
    root: OtherRoot = None,
    split: Literal["validation", "train"] = "validation",
    stitches: Stitches = "all",
    batch_size: int | None = None,
    workers: int | None = None,
    device: Device = None,
    precision: Precision | None = None,
    max_corrupt: int | None = None,
    output: Path | None = None,
    predict: Annotated[bool, Parameter(negative="")] = False,
    error: float = 0.3,
    at_most: float = 0.25,
    sample: float = 0.2,
    json: Json = False,
) -> None:
    """Measure top-1, top-5 and loss of every stitch, and save them in the table beside the network.

    Killed at any moment, the same command goes on with the stitches that are missing. Started in several processes
    by torchrun, each takes its part of the images.

    With --predict only the anchors and the stitches that tell most are measured on all images; the others are
    predicted, with an error bar in the column top1_error. A later evaluation measures what was predicted.

    Args:
        network: Directory of a saved network, its id on the hub, or FAMILY@FILE for a published one.
        split: Which images.
        batch_size: Images per batch; as many as in the run, or 128.
        workers: Processes that read images; as many as in the run, or none.
        precision: bf16 or fp16 for mixed precision; the network's own by default.
        max_corrupt: Most images that may be skipped because they do not decode; one in a hundred by default.
        output: Table file; table.jsonl beside the network by default.
        predict: Measure a few stitches and predict the others.
        error: With --predict, the expected mean error, in points of top-1, at which to stop.
        at_most: With --predict, most stitches to measure on all images: a number, or a part if 1 or less.
        sample: With --predict, the part of the images that the others see; 0 predicts from the curve alone.
    """
    from snnet.data import eval_batches
    from snnet.evaluation import evaluate as run
    from snnet.evaluation import evaluate_some
    from snnet.network import chosen_stitches
    from snnet.profiling import count_costs
    from snnet.utils import joined, torch_threads

    of_run = data_of(network, only_given({"data.name": data, "data.root": root, "data.max_corrupt": max_corrupt}))
    recipe = of_run.recipe
    net = saved_network(network)
    routes = chosen_stitches(net, stitches)
    images = of_run.open(split, net.input, net.num_classes)
    count_costs(net)
    path = output or (Path(network) / TABLE if is_network(network) else Path(TABLE))
    size = recipe.evaluation.batch_size if batch_size is None else batch_size
    batches, found = eval_batches(images, size, recipe.data.workers if workers is None else workers), None
    if predict and stitches != "all":
        raise DataError(f"--predict is about all stitches, and --stitches {stitches} about some; give one of the two.")
    device = default_device(device)
    with torch_threads(recipe.run.threads), joined(device), progress("Evaluating") as report:
        if predict:
            found = evaluate_some(
                net,
                batches,
                error=error,
                at_most=at_most,
                sample=sample,
                device=device,
                precision=precision,
                output=path,
                progress=report,
            )
            table = found.table
        else:
            table = run(net, batches, stitches=routes, device=device, precision=precision, output=path, progress=report)
    if json:
        show_json(table_json(table))
        return
    scores = (SCORE, SCORE + ERROR) if found else (kind.name for kind in kinds_of("score"))
    show_rows(table, names=[*(kind.name for kind in kinds_of("cost")), *scores])
    if found:
        show_prediction(found)
    show(f"{len(table)} stitches on {batches.images} images; written to {path}")
    table_of = network if is_network(network) and output is None else path
    show(f"Next: snnet report {table_of} --output REPORT, or snnet select {table_of} --macs 3G")


def show_prediction(found: "PredictedScores") -> None:
    """Print what the predicted scores are worth, and what would make them better."""
    show(
        f"{found.measured} stitches measured, {found.predicted} predicted to {found.error:.2f} points of top-1 on "
        f"average (expected), with {100 * found.work:.0f} % of the work"
    )
    if found.next:
        show(f"The stitch that would tell most next: {found.next[0]}")
