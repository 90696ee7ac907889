"""`snnet profile`: latency and throughput on the machine at hand."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from snnet.cli.console import show, show_json
from snnet.cli.progress import progress
from snnet.cli.sources import TABLE, is_network, saved_network
from snnet.cli.stitches import Stitches, chosen_stitches
from snnet.cli.tables import show_rows, table_json
from snnet.cli.values import Device, Json, default_device
from snnet.errors import RecipeError

profile = App(
    name="profile",
    help_epilogue="""Examples:

    snnet profile runs/fm --batch 1,8
    snnet profile runs/deit --stitches frontier --device cuda --dtype bf16
""",
)


@profile.default
def profile_network(
    network: str,
    /,
    *,
    batch: Annotated[str, Parameter(help="Batch sizes, separated by commas.")] = "1",
    stitches: Stitches = "all",
    device: Device = None,
    dtype: Literal["fp32", "bf16", "fp16"] | None = None,
    warmup: int = 3,
    repeats: int = 20,
    threads: int | None = None,
    output: Path | None = None,
    json: Json = False,
) -> None:
    """Measure the latency of stitches on this machine, and save it in the table beside the network.

    All stitches are visited in every round, in random order, so that a machine that slows down touches all alike.

    Args:
        network: Directory of a saved network, its id on the hub, or FAMILY@FILE for a published one.
        dtype: Type of weights and images; the network's own by default.
        warmup: Rounds before those that count.
        repeats: Rounds that count; the median is kept.
        threads: Threads of torch on the CPU.
        output: Table file; table.jsonl beside the network by default.
    """
    import torch

    from snnet.cost import profile as run

    net = saved_network(network)
    types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    routes = chosen_stitches(net, stitches)
    with progress("Measuring") as report:
        table = run(
            net,
            latency=routes,
            batch_sizes=_sizes(batch),
            device=default_device(device),
            dtype=types[dtype] if dtype else None,
            warmup=warmup,
            repeats=repeats,
            threads=threads,
            progress=report,
        )
    path = output or (Path(network) / TABLE if is_network(network) else Path(TABLE))
    table.save(path)
    chosen = {route.id for route in routes}
    shown = table.where(lambda row: row.stitch in chosen)
    if json:
        show_json(table_json(shown))
        return
    show_rows(shown)
    show(f"{len(shown)} of {len(table)} stitches measured; written to {path}")


def _sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise RecipeError(f"--batch {text!r} is not a list of whole numbers such as 1,8.") from None
