# Tested in tests/serving/test_service.py.
"""What a service's own workers take for each stitch and batch size, measured once and kept beside the network."""

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from snnet.errors import TableError
from snnet.serving.workers import Worker
from snnet.table import LATENCY, PROFILE, StitchRow, StitchTable, at_batch
from snnet.utils import Show

TIMES = "serving.jsonl"
"""File of the latencies beside the network."""
BATCHES = (1, 2, 4, 8, 16, 32)
_LEAST, _MOST, _SECONDS = 5, 40, 0.15


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
    rows: list[StitchRow] = []
    for done, row in enumerate(table, start=1):
        values = dict(row.values)
        for batch in sizes:
            seconds = _times(worker, row.stitch, images[:batch])
            values[at_batch(LATENCY, batch)] = 1e3 * float(np.median(seconds))
            values[at_batch(f"{LATENCY}_p95", batch)] = 1e3 * float(np.quantile(seconds, 0.95))
            if np.median(seconds) > longest:
                break
        rows.append(StitchRow(row.index, row.stitch, values))
        if progress:
            progress(done, len(table), f"stitch {row.stitch}, batches up to {batch}")
    return StitchTable(rows, {**table.meta, PROFILE: dict(facts or {})})


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
