# Tested in tests/cli/test_measuring.py.
"""`snnet profile`: latency, throughput, memory and energy on the machine at hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from snnet.cli.console import loading, progress, say, show, show_json, show_rows, table_json
from snnet.cli.options import Device, Json, Stitches, default_device
from snnet.cli.sources import saved_network, table_file, table_in
from snnet.profiling import USUAL_MEASURE, MeasureSettings
from snnet.table import (
    ENERGY,
    LATENCY,
    PROFILE,
    StitchTable,
    at_batch,
    column,
    describe_profile,
    doubts,
    kinds_of,
    without_profile,
)
from snnet.utils import Precision, counted

if TYPE_CHECKING:
    from snnet.network import SNNet


def profile(
    network: str,
    /,
    *,
    stitches: Stitches = "all",
    settings: Annotated[MeasureSettings, Parameter(name="*", consume_multiple=True)] = USUAL_MEASURE,
    engine: str = "eager",
    device: Device = None,
    precision: Precision | None = None,
    threads: int | None = None,
    output: Path | None = None,
    json: Json = False,
) -> None:
    """Measure what stitches take on this machine: latency, throughput, memory, and energy where there is a meter.

    All stitches are visited in every round, in random order, so that a machine that slows down touches all alike. The
    table tells on which machine it was measured; `snnet select` works from it alone. `snnet cost` counts alone.

    Args:
        network: Directory of a saved network, its id on the hub, or FAMILY@FILE for a published one.
        engine: What runs the stitches: eager, or another that is installed.
        precision: Type of weights and images; the network's own by default.
        threads: Threads on the CPU.
        output: Profile to write; table.jsonl beside the network by default, or table.bf16.jsonl in another precision.

    Examples:
        snnet profile runs/fm --batch-sizes 1 8
        snnet profile runs/deit --stitches frontier --device cuda --precision bf16
        snnet profile runs/deit --engine onnxruntime --threads 4 --blocks --output laptop.jsonl
    """
    loading()
    from snnet.network import chosen_stitches
    from snnet.profiling import profile as run

    path = table_file(network, output)
    net = saved_network(network)
    routes, sizes = chosen_stitches(net, stitches), settings.batch_sizes
    path = table_in(net, path, network, precision)
    if output is not None and output.is_file():
        _lay_over(net, StitchTable.load(output))
    with progress("Measuring") as report:
        table = run(
            net,
            stitches=routes,
            settings=settings,
            engine=engine,
            device=default_device(device),
            precision=precision,
            threads=threads,
            progress=report,
        )
    table.save(path)
    chosen = {route.id for route in routes}
    shown = table.where(lambda row: row.stitch in chosen)
    if json:
        show_json(table_json(shown))
        return
    show_rows(shown, names=_columns(shown, sizes))
    _show_doubts(table, sizes)
    _show_facts(table)
    show(f"{len(shown):,} of {counted(len(table), 'stitch')}; written to {path}")


def _columns(table: StitchTable, sizes: Sequence[int]) -> list[str]:
    """Return the columns that are shown: costs, the score, and of each batch size the times without their interval."""
    added_up = [kind.name for kind in kinds_of("cost")]
    kinds = [name for kind in kinds_of("cost", per_batch=True) for name in kind.shown]
    wanted = [*added_up, table.score, *(at_batch(name, size) for size in sizes for name in kinds)]
    return [name for name in wanted if name in table.columns]


def _show_doubts(table: StitchTable, sizes: Sequence[int]) -> None:
    for name in (at_batch(LATENCY, size) for size in sizes):
        if found := doubts(table, name):
            say(
                f"{name} of {counted(len(found), 'stitch')} is unreliable (?), such as {next(iter(found))}: "
                f"{next(iter(found.values()))}. Measure again when this machine is idle, or longer (--repeats)."
            )


def _show_facts(table: StitchTable) -> None:
    """Print where the numbers are from, what predictions are worth, and why energy is missing if it is."""
    facts: dict[str, Any] = table.meta[PROFILE]
    for size, worth in facts.get("prediction", {}).items():
        show(
            f"Batch {size}: predicted from {counted(worth['steps'], 'step')}; on "
            f"{counted(worth['checked_on'], 'measured stitch')} off by {worth['mean_error_percent']:.1f} % on average, "
            f"{worth['worst_error_percent']:.1f} % at worst"
        )
    show(f"Memory is {facts['memory']}", f"All {describe_profile(table.meta)}")
    if not any(column(name).kind == ENERGY for name in table.columns):
        say(f"No energy: {facts['energy']}")


def _lay_over(net: "SNNet", earlier: StitchTable) -> None:
    """Go on with what was measured into the same file before; under other conditions it will be dropped."""
    from snnet.profiling import count_costs

    if PROFILE not in earlier.meta:
        return
    own = without_profile(count_costs(net))
    others = [name for name in earlier.columns if not column(name).per_batch]
    net.table = own.merge(StitchTable(earlier.without(*others), {PROFILE: earlier.meta[PROFILE]}))
