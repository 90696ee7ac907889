"""The table of costs, with what was measured on the machine at hand."""

from datetime import UTC, datetime
from typing import Any

import torch

from snnet.errors import RecipeError
from snnet.network import SNNet, Stitches, chosen_stitches
from snnet.profiling.bench import Bench
from snnet.profiling.costs import count_costs
from snnet.profiling.energy import Meter, find_meter
from snnet.profiling.measure import measure
from snnet.profiling.memory import COMPUTED, MEASURED
from snnet.profiling.overlay import lay_over
from snnet.profiling.timing import CONFIDENCE, USUAL_MEASURE, MeasureSettings
from snnet.runtime.engines import ENGINES, Conditions
from snnet.table import StitchTable
from snnet.utils import Machine, Precision, Show, precision_of, shows_progress, torch_threads, versions


@shows_progress("Measuring")
def profile(
    net: SNNet,
    *,
    stitches: Stitches | None = None,
    settings: MeasureSettings = USUAL_MEASURE,
    engine: str = "eager",
    device: str | torch.device | None = None,
    precision: Precision | None = None,
    threads: int | None = None,
    progress: Show = None,
) -> StitchTable:
    """Count what every stitch of `net` costs, measure what `stitches` take, and keep the result as `net.table`.

    MACs and parameters come for all stitches from one count per step of a route. The rest is measured of `stitches`
    alone, at each batch size: median, 95th and 99th percentile and the median's confidence interval in
    milliseconds (`latency_ms`, `_p95`, `_p99`, `_low`, `_high`), `throughput` in images per second, `memory_mb`, and
    `energy_mj` where there is a meter; with `@8` appended for batch 8. Stitches are visited in rounds, in newly
    shuffled order. `table.meta["profile"]` says on which machine and how.

    Other columns that `net.table` has are kept, but earlier measurements only if they were made under the same
    conditions. `net` is neither moved nor changed: an engine measures its own body of it.

    Args:
        net: The network.
        stitches: Those to measure: numbers, ids or values, `all`, `anchors` or `frontier`; None counts costs alone.
        settings: Batch sizes, rounds, and whether blocks are measured in place of stitches.
        engine: What runs the stitches, one of `ENGINES`.
        device: Where to measure; where the network lies if None.
        precision: Type of weights and images; the network's own if None.
        threads: Threads on the CPU; torch's current setting if None.
        progress: Called after each round with rounds done, rounds in all, and a note; None shows a bar where someone
            watches, False nothing.

    Returns:
        The table of all stitches, which is also `net.table`.

    Raises:
        RecipeError: If engine, device or precision is unknown, or there are no threads.
        SpaceError: If a stitch is not in the network's space.
        EngineError: If the engine cannot run under these conditions.
        ExtraError: If the engine's library is not installed.

    Example:
        >>> snnet.profile(net)  # MACs and parameters
        >>> snnet.profile(net, stitches="frontier", settings=MeasureSettings(batch_sizes=(1, 8)), device="cuda")
    """
    routes = () if stitches is None else chosen_stitches(net, stitches)
    if not routes:
        return count_costs(net)
    if threads is not None and threads < 1:
        raise RecipeError(f"Latency cannot be measured with threads {threads}; accepted: 1 and more, or None.")
    conditions, kind = Conditions.of(net, device, precision, threads), ENGINES.get(engine)
    meter, name = _meter(settings, conditions.device)
    with torch_threads(conditions.threads):
        running = kind(net, conditions)
        bench = Bench(net, running, settings, progress)
        try:
            columns, worth = measure(bench, routes, meter)
        finally:
            bench.close()
            running.close()
    facts = _facts(net, engine, conditions, settings, name)
    net.table = lay_over(count_costs(net), columns, facts | ({"prediction": worth} if worth else {}))
    return net.table


def _meter(settings: MeasureSettings, device: torch.device) -> tuple[Meter | None, str]:
    """Return the meter, and its name or why there is none."""
    if not settings.energy:
        return None, "not asked for"
    if settings.blocks:
        return None, "measured on whole stitches only, without blocks"
    return find_meter(device)


def _facts(net: SNNet, engine: str, conditions: Conditions, settings: MeasureSettings, meter: str) -> dict[str, Any]:
    on_cuda = conditions.device.type == "cuda"
    gpus = [torch.cuda.get_device_name(conditions.device)] if on_cuda else []
    # An engine that is a package bears its name.
    packages = {name: one for name, one in versions(engine).items() if name == "snnet" or one != "not installed"}
    return {
        "machine": Machine.here().on(*gpus).to_dict(),
        "engine": engine,
        **conditions.to_dict(),
        "network_precision": precision_of(next(net.parameters()).dtype),
        "versions": packages,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "warmup": settings.warmup,
        "repeats": settings.repeats,
        "method": "blocks" if settings.blocks else "stitches",
        "confidence": CONFIDENCE,
        "memory": MEASURED if on_cuda else COMPUTED,
        "energy": meter,
    }
