"""What a service's own workers take for each stitch and batch size, measured once and kept beside the network."""

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from snnet.errors import TableError
from snnet.serving.workers import Worker
from snnet.table import LATENCY, PROFILE, StitchRow, StitchTable, at_batch
from snnet.utils import Show

TIMES = "serving.jsonl"
"""File of the latencies beside the network."""
BATCHES = (1, 2, 4, 8, 16, 32)
_ROUNDS = 3
_LEAST, _MOST, _SECONDS = 2, 14, 0.05
"""Calls of one stitch at one batch size in a round, and seconds after which they are enough."""


def measure_latencies(
    worker: Worker,
    table: StitchTable,
    size: tuple[int, int, int],
    *,
    largest: int = 32,
    longest: float = 1.0,
    facts: Mapping[str, Any] | None = None,
    progress: Show = False,
) -> StitchTable:
    """Measure a worker as the service will call it.

    Stitches are visited in rounds, in shuffled order, so that other work that a machine has for a while touches all
    alike. The 95th percentile is the median times what the percentile is of the median for most stitches at that
    batch size: each alone is called too seldom to know its own.

    Args:
        worker: What runs the stitches.
        table: Rows of the stitches to measure.
        size: `(C, H, W)` of an image.
        largest: Images of the largest batch.
        longest: Seconds; where a call takes longer, larger batches are not measured.
        facts: What the latencies depend on, kept with them.
        progress: Told how far it is.

    Returns:
        The rows with `latency_ms` and `latency_ms_p95` of each batch size.
    """
    sizes = [batch for batch in BATCHES if batch <= largest]
    images = np.random.default_rng(0).standard_normal((largest, *size), np.float32)
    seconds: dict[int, dict[str, list[float]]] = {batch: defaultdict(list) for batch in sizes}
    rows, order = list(table), Random(0)
    for turn in range(_ROUNDS):
        for done, row in enumerate(order.sample(rows, len(rows)), start=1):
            for batch in sizes:
                found = _times(worker, row.stitch, images[:batch])
                seconds[batch][row.stitch] += found
                if np.median(found) > longest:
                    break
            if progress:
                note = f"round {turn + 1}, stitch {row.stitch}, batches up to {batch}"
                progress(turn * len(rows) + done, _ROUNDS * len(rows), note)
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for batch, of_stitch in seconds.items():
        spread = np.median([np.quantile(found, 0.95) / np.median(found) for found in of_stitch.values()])
        for stitch, found in of_stitch.items():
            middle = 1e3 * float(np.median(found))
            values[stitch] |= {
                at_batch(LATENCY, batch): middle,
                at_batch(f"{LATENCY}_p95", batch): float(middle * spread),
            }
    return StitchTable(
        table.with_values(lambda row: {**row.values, **values[row.stitch]}), {**table.meta, PROFILE: dict(facts or {})}
    )


def kept_latencies(place: Path, table: StitchTable, facts: Mapping[str, Any]) -> StitchTable | None:
    """Return the table with latencies that an earlier start has kept, if they are of the same and of all its stitches.

    Args:
        place: The file.
        table: Rows of the stitches.
        facts: What latencies depend on.
    """
    if not place.is_file():
        return None
    # What cannot be read is measured anew.
    with suppress(TableError):
        kept = StitchTable.load(place)
        known = {row.stitch: row.values for row in kept}
        if _same(kept.meta.get(PROFILE) or {}, facts) and all(LATENCY in known.get(row.stitch, {}) for row in table):
            times = {stitch: _only_times(values) for stitch, values in known.items()}
            rows = [StitchRow(row.index, row.stitch, {**row.values, **times[row.stitch]}) for row in table]
            return StitchTable(rows, {**table.meta, PROFILE: kept.meta[PROFILE]})
    return None


def _times(worker: Worker, stitch: str, images: Any) -> list[float]:
    """Return the seconds of some calls, without the first."""
    worker.run(stitch, images)
    seconds: list[float] = []
    while len(seconds) < _MOST and (len(seconds) < _LEAST or sum(seconds) < _SECONDS):
        begun = time.perf_counter()
        worker.run(stitch, images)
        seconds.append(time.perf_counter() - begun)
    return seconds


def _same(there: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    return all(there.get(name) == fact for name, fact in here.items() if name != "date")


def _only_times(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name.startswith(LATENCY)}
