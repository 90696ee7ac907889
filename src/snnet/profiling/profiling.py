"""The table of costs, with what was measured on the machine at hand."""

from collections.abc import Mapping
from typing import Any

import torch

from snnet.errors import RecipeError
from snnet.network import SNNet, Stitches, chosen_stitches
from snnet.profiling.bench import Bench
from snnet.profiling.costs import count_costs
from snnet.profiling.energy import Meter, find_meter
from snnet.profiling.measure import measure
from snnet.profiling.memory import COMPUTED, MEASURED
from snnet.profiling.timing import CONFIDENCE, USUAL_MEASURE, MeasureSettings
from snnet.runtime.engines import ENGINES, Conditions
from snnet.table import ERROR, LATENCY, PROFILE, THROUGHPUT, StitchTable, column, facts_of
from snnet.utils import Precision, Show, precision_of, shows_progress, torch_threads, versions

_MUST_AGREE = ("machine", "engine", "device", "precision", "threads", "versions")
_TIMED = (LATENCY, THROUGHPUT)


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
    shuffled order, and again those whose times are unreliable. `table.meta["profile"]` says on which machine and how.

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
    own = precision_of(next(net.parameters()).dtype)
    return {
        **facts_of(engine, conditions.to_dict(), own, versions(engine), gpus),
        "warmup": settings.warmup,
        "repeats": settings.repeats,
        "again": settings.again,
        "method": "blocks" if settings.blocks else "stitches",
        "confidence": CONFIDENCE,
        "memory": MEASURED if on_cuda else COMPUTED,
        "energy": meter,
    }


def lay_over(table: StitchTable, columns: Mapping[str, Mapping[str, float]], facts: Mapping[str, Any]) -> StitchTable:
    """Return `table` with measured columns, and with the facts on them.

    What the table has of other conditions goes, for every stitch. Of the same conditions it stays, but where the same
    stitch was measured anew at the same batch size; a prediction never takes the place of a measurement.
    """
    earlier = table.meta.get(PROFILE) or {}
    keep = all(_without_own(earlier.get(name)) == _without_own(facts.get(name)) for name in _MUST_AGREE)
    laid = table.with_values(lambda row: _values(row.values, columns.get(row.stitch, {}), keep=keep))
    return StitchTable(laid, {**table.meta, PROFILE: dict(facts)})


def _without_own(fact: Any) -> Any:
    """Return versions without our own: what we time with changes what is found less often than torch and timm do."""
    return {k: v for k, v in fact.items() if k != "snnet"} if isinstance(fact, dict) else fact


def _values(old: Mapping[str, float], new: Mapping[str, float], *, keep: bool) -> dict[str, float]:
    """Return one row's values."""
    left = {name: value for name, value in old.items() if keep or not column(name).per_batch}
    coming = dict(new)
    for batch in {_batch(name) for name in new}:
        was, comes = (_times(part, batch) for part in (left, new))
        gone = coming if was and not _is_predicted(was) and _is_predicted(comes) else left
        for name in comes if gone is coming else was:
            del gone[name]
    return {**left, **coming}


def _times(values: Mapping[str, float], batch: str) -> dict[str, float]:
    """Return what was timed at a batch size: one measurement, which stays or goes as a whole."""
    return {k: v for k, v in values.items() if k.startswith(_TIMED) and _batch(k) == batch}


def _is_predicted(values: Mapping[str, float]) -> bool:
    return any(name.endswith(ERROR) for name in values)


def _batch(name: str) -> str:
    return name.removesuffix(ERROR).partition("@")[2]
