"""The table of costs: multiply-adds and parameters of every stitch, latency where asked for."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from snnet.cost.latency import Progress, measure_latency
from snnet.cost.macs import step_macs
from snnet.cost.params import stitch_params
from snnet.engines.conditions import Conditions
from snnet.network import SNNet, StitchLike
from snnet.route import Stitch
from snnet.table import StitchRow, StitchTable


def profile(
    net: SNNet,
    *,
    latency: bool | StitchLike | Sequence[StitchLike] = False,
    batch_sizes: Sequence[int] = (1,),
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    warmup: int = 3,
    repeats: int = 20,
    threads: int | None = None,
    progress: Progress | None = None,
) -> StitchTable:
    """Measure what every stitch of `net` costs, and keep the result as `net.table`.

    MACs and parameters come for all stitches from one count per step of a route. Other columns that
    `net.table` has are kept, but earlier latencies only if they were measured under the same conditions.

    Args:
        net: The network; it is not moved and its mode is not changed.
        latency: True measures all stitches, numbers or ids measure those only.
        batch_sizes: Images per forward pass, see `measure_latency`, also for the arguments below.
        device: Where latency is measured; where the network lies if None.
        dtype: Type of weights and images while latency is measured; the network's own if None.
        warmup: Rounds before those that count.
        repeats: Rounds that count.
        threads: Threads of torch on the CPU; its current setting if None.
        progress: Called after each round of latency with rounds done, rounds in all, and a note.

    Raises:
        RecipeError: If the device is unknown or a number is out of range.
        SpaceError: If a stitch is not in the network's space.
    """
    table, earlier = _count(net), net.table
    chosen = _chosen(net, latency)
    if chosen:
        conditions = Conditions.of(net, device, dtype, threads)
        measured = measure_latency(
            net,
            chosen,
            batch_sizes=batch_sizes,
            device=conditions.device,
            dtype=conditions.dtype,
            warmup=warmup,
            repeats=repeats,
            threads=conditions.threads,
            progress=progress,
        )
        table = _lay_over(table, measured, conditions, max(batch_sizes))
        earlier = earlier and _without_stale(earlier, table.meta["latency"])
    # Laid over twice: the rows are those of the space, and of two values the newer one stays.
    net.table = table if earlier is None else table.merge(earlier).merge(table)
    return net.table


def _count(net: SNNet) -> StitchTable:
    """Return MACs and parameters of every stitch, in the order of the space."""
    macs, params = step_macs(net), stitch_params(net)
    rows = (
        StitchRow(
            index,
            stitch.id,
            {"macs": sum(macs[step] for step in net.steps(stitch)), "params": params[stitch.id]},
        )
        for index, stitch in enumerate(net.space)
    )
    meta = {
        "anchors": [anchor.name for anchor in net.family],
        "depths": [list(stages) for stages in net.space.depths],
        "versions": _versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return StitchTable(rows, meta)


def _chosen(net: SNNet, latency: bool | StitchLike | Sequence[StitchLike]) -> tuple[StitchLike, ...]:
    if isinstance(latency, bool):
        return tuple(net.space) if latency else ()
    return (latency,) if isinstance(latency, int | str | Stitch) else tuple(latency)


def _lay_over(
    table: StitchTable, measured: Mapping[str, Mapping[str, float]], conditions: Conditions, largest_batch: int
) -> StitchTable:
    rows = (StitchRow(row.index, row.stitch, {**row.values, **measured.get(row.stitch, {})}) for row in table)
    facts = {**conditions.to_dict(), "throughput_batch": largest_batch}
    return StitchTable(rows, {**table.meta, **conditions.to_dict(), "latency": facts})


def _without_stale(table: StitchTable, facts: Mapping[str, Any]) -> StitchTable:
    """Return `table` without what was measured under other conditions: one column must compare throughout."""
    changed = {name for name, value in table.meta.get("latency", facts).items() if facts[name] != value}
    if not changed:
        return table
    stale = ("throughput",) if changed == {"throughput_batch"} else ("throughput", "latency_ms")
    rows = (
        StitchRow(row.index, row.stitch, {k: v for k, v in row.values.items() if not k.startswith(stale)})
        for row in table
    )
    return StitchTable(rows, table.meta)


def _versions() -> dict[str, str]:
    try:
        own = version("snnet")
    except PackageNotFoundError:
        own = "not installed"  # run from a source tree
    # torch's own name of its version says which build it is, for CPU or for which CUDA.
    return {"snnet": own, "torch": str(torch.__version__), "timm": version("timm")}
