"""`snnet evaluate`: the accuracy of every stitch."""

from pathlib import Path
from typing import Literal

from cyclopts import App

from snnet.cli.console import show, show_json
from snnet.cli.progress import progress
from snnet.cli.sources import TABLE, is_network, saved_network
from snnet.cli.stitches import Stitches, chosen_stitches
from snnet.cli.tables import show_rows, table_json
from snnet.cli.values import DataName, Device, Json, Root, default_device

evaluate = App(
    name="evaluate",
    help_epilogue="""Examples:

    snnet evaluate runs/fm
    snnet evaluate runs/deit --data folder --root /data/imagenet --device cuda --amp bf16
    snnet evaluate deit_ti_s_b@snnet_deit.pth --data folder --root /data/imagenet --output published.jsonl
""",
)


@evaluate.default
def evaluate_network(
    network: str,
    /,
    *,
    data: DataName = "embedded",
    root: Root = None,
    split: Literal["validation", "train"] = "validation",
    stitches: Stitches = "all",
    batch_size: int = 128,
    workers: int = 0,
    device: Device = None,
    amp: Literal["bf16", "fp16"] | None = None,
    max_corrupt: int | None = None,
    output: Path | None = None,
    json: Json = False,
) -> None:
    """Measure top-1, top-5 and loss of every stitch, and save them in the table beside the network.

    Killed at any moment, the same command goes on with the stitches that are missing. Started in several processes
    by torchrun, each takes its part of the images.

    Args:
        network: Directory of a saved network, its id on the hub, or FAMILY@FILE for a published one.
        split: Which images.
        batch_size: Images per batch.
        workers: Processes that read images.
        amp: Automatic mixed precision.
        max_corrupt: Most images that may be skipped because they do not decode; one in a hundred by default.
        output: Table file; table.jsonl beside the network by default.
    """
    from snnet.cost import profile
    from snnet.data import eval_batches, open_dataset
    from snnet.evaluation import evaluate as run
    from snnet.processes import joined

    net = saved_network(network)
    routes = chosen_stitches(net, stitches)
    images = open_dataset(data, root, split, input=net.input, num_classes=net.num_classes, max_corrupt=max_corrupt)
    profile(net)
    path = output or (Path(network) / TABLE if is_network(network) else Path(TABLE))
    batches = eval_batches(images, batch_size, workers)
    with joined(default_device(device)), progress("Evaluating") as report:
        table = run(net, batches, stitches=routes, device=default_device(device), amp=amp, output=path, progress=report)
    if json:
        show_json(table_json(table))
        return
    show_rows(table, columns=["macs", "params", *(name for name in ("top1", "top5", "loss"))])
    show(f"{len(table)} stitches on {batches.images} images; written to {path}")
    table_of = network if is_network(network) and output is None else path
    show(f"Next: snnet report {table_of} --output REPORT, or snnet select {table_of} --macs 3G")
