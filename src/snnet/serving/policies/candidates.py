# Tested in tests/serving/policies/test_elastic.py.
"""The few options among which our policy chooses."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from snnet.serving.options import Options

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SHOWN_BATCHES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128)


@dataclass(frozen=True)
class Candidates:
    """Options among which a policy chooses, in order of their batch sizes.

    Attributes:
        rows: Row of the options `(C,)`.
        images: Batch size `(C,)`.
        seconds: Latency `(C,)`.
        lacks: What its answers lack to the best score, together `(C,)`.
        best: The best score.
    """

    rows: Ints
    images: Ints
    seconds: Floats
    lacks: Floats
    best: float

    @classmethod
    def of(cls, options: Options, rows_per_batch: int) -> "Candidates":
        """Take at every batch size, of rows on the concave frontier, some that are evenly spaced in log latency."""
        pairs = [
            (row, images)
            for images in _SHOWN_BATCHES
            if images <= options.max_batch
            for row in _spaced(options, images, rows_per_batch)
        ]
        rows, images = np.array(pairs).T
        best = float(options.scores.max())
        lacks = (best - options.scores[rows]) * images
        return cls(rows, images, options.latencies[rows, images - 1], lacks, best)

    @cached_property
    def taken(self) -> list[float]:
        """The latencies, to look at one by one."""
        found: list[float] = self.seconds.tolist()
        return found

    @cached_property
    def order(self) -> list[int]:
        """The rows, to look at one by one."""
        found: list[int] = self.rows.tolist()
        return found

    @cached_property
    def batches(self) -> list[int]:
        """The batch sizes, to look at one by one."""
        found: list[int] = self.images.tolist()
        return found

    @cached_property
    def quickest(self) -> int:
        """Which one answers one image the quickest."""
        return int(np.lexsort((self.seconds, self.images))[0])


def _spaced(options: Options, images: int, count: int) -> list[int]:
    """Return rows on the concave frontier of score over latency, the quickest and the best among them."""
    seconds, scores = options.latencies[:, images - 1], options.scores
    hull: list[int] = []
    for row in np.lexsort((-scores, seconds)).tolist():
        if not np.isfinite(seconds[row]) or (hull and scores[row] <= scores[hull[-1]]):
            continue
        while len(hull) > 1:
            last, before = hull[-1], hull[-2]
            gain = (scores[last] - scores[before]) * (seconds[row] - seconds[before])
            if gain > (scores[row] - scores[before]) * (seconds[last] - seconds[before]):
                break
            hull.pop()
        hull.append(row)
    places = np.log(seconds[hull])
    wanted = np.linspace(places[0], places[-1], count)
    return [hull[place] for place in sorted({int(np.abs(places - one).argmin()) for one in wanted})]
