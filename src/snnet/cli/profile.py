"""`snnet profile`: latency, throughput, memory and energy on the machine at hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from snnet.cli.console import say, show, show_json
from snnet.cli.progress import progress
from snnet.cli.sources import TABLE, is_network, saved_network
from snnet.cli.stitches import Stitches, chosen_stitches
from snnet.cli.tables import show_rows, table_json
from snnet.cli.values import DTYPES, Device, Dtype, Json, default_device
from snnet.errors import RecipeError
from snnet.table import PROFILE, StitchTable, at_batch, column, describe_profile, without_profile

if TYPE_CHECKING:
    from snnet.network import SNNet

profile = App(
    name="profile",
    help_epilogue="""Examples:

    snnet profile runs/fm --batch 1,8
    snnet profile runs/deit --stitches frontier --device cuda --dtype bf16
    snnet profile runs/deit --engine onnxruntime --threads 4 --blocks --output laptop.jsonl
""",
)


@profile.default
def profile_network(
    network: str,
    /,
    *,
    batch: Annotated[str, Parameter(help="Batch sizes, separated by commas.")] = "1",
    stitches: Stitches = "all",
    blocks: Annotated[bool, Parameter(negative="")] = False,
    engine: str = "eager",
    device: Device = None,
    dtype: Dtype = None,
    threads: int | None = None,
    warmup: int = 3,
    repeats: int = 20,
    energy: bool = True,
    output: Path | None = None,
    json: Json = False,
) -> None:
    """Measure what stitches take on this machine: latency, throughput, memory, and energy where there is a meter.

    All stitches are visited in every round, in random order, so that a machine that slows down touches all alike. The
    table tells on which machine it was measured; `snnet select` works from it alone.

    Args:
        network: Directory of a saved network, its id on the hub, or FAMILY@FILE for a published one.
        blocks: Measure blocks, stitching layers, heads and a few whole stitches, and predict the others; the error on
            stitches that were really measured is printed.
        engine: What runs the stitches: eager, or another that is installed.
        dtype: Type of weights and images; the network's own by default.
        threads: Threads on the CPU.
        warmup: Rounds before those that count.
        repeats: Rounds that count; the median is kept.
        energy: Measure energy where there is a meter.
        output: Profile to write; table.jsonl beside the network by default.
    """
    import torch

    from snnet.profiling import profile as run

    net = saved_network(network)
    routes, sizes = chosen_stitches(net, stitches), _sizes(batch)
    if output is not None and output.is_file():
        _lay_over(net, StitchTable.load(output))
    with progress("Measuring") as report:
        table = run(
            net,
            latency=routes,
            batch_sizes=sizes,
            blocks=blocks,
            engine=engine,
            device=default_device(device),
            dtype=getattr(torch, DTYPES[dtype]) if dtype else None,
            threads=threads,
            warmup=warmup,
            repeats=repeats,
            energy=energy,
            progress=report,
        )
    path = output or (Path(network) / TABLE if is_network(network) else Path(TABLE))
    table.save(path)
    chosen = {route.id for route in routes}
    shown = table.where(lambda row: row.stitch in chosen)
    if json:
        show_json(table_json(shown))
        return
    show_rows(shown, columns=_columns(shown, sizes))
    _show_facts(table)
    show(f"{len(shown)} of {len(table)} stitches; written to {path}")


def _columns(table: StitchTable, sizes: list[int]) -> list[str]:
    """Return what fits on a line: costs, and of each batch size the times without their interval."""
    kinds = ("latency_ms", "latency_ms_p95", "latency_ms_p99", "throughput", "memory_mb", "energy_mj")
    wanted = ["macs", "params", "top1", *(at_batch(kind, size) for size in sizes for kind in kinds)]
    return [name for name in wanted if name in table.columns]


def _show_facts(table: StitchTable) -> None:
    """Print where the numbers are from, what predictions are worth, and why energy is missing if it is."""
    facts: dict[str, Any] = table.meta[PROFILE]
    for size, worth in facts.get("prediction", {}).items():
        show(
            f"Batch {size}: predicted from {worth['steps']} steps; on {worth['checked_on']} measured stitches off by "
            f"{worth['mean_error_percent']:.1f} % on average, {worth['worst_error_percent']:.1f} % at worst"
        )
    show(f"Memory is {facts['memory']}", f"All {describe_profile(table)}")
    if not any(name.startswith("energy_mj") for name in table.columns):
        say(f"No energy: {facts['energy']}")


def _sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise RecipeError(f"--batch {text!r} is not a list of whole numbers such as 1,8.") from None


def _lay_over(net: "SNNet", earlier: StitchTable) -> None:
    """Go on with what was measured into the same file before; under other conditions it will be dropped."""
    from snnet.profiling import count_costs

    if PROFILE not in earlier.meta:
        return
    own = without_profile(count_costs(net))
    others = [name for name in earlier.columns if not column(name).per_batch]
    net.table = own.merge(StitchTable(earlier.without(*others), {PROFILE: earlier.meta[PROFILE]}))
