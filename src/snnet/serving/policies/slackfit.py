# Tested in tests/serving/policies/test_policies.py.
"""SlackFit (Khare et al., SuperServe, NSDI 2025, section 4): buckets of latency, and the slack of the most urgent."""

from bisect import bisect_right

import numpy as np

from snnet.errors import RecipeError
from snnet.serving.options import Options
from snnet.serving.policy import POLICIES, Decision, Policy, Run, Workers
from snnet.serving.queue import Summary


@POLICIES.register("slackfit")
class SlackFitPolicy(Policy):
    """Runs the option of the bucket with the largest latency that fits the slack of the most urgent request.

    Offline, all options go into buckets of evenly spaced latencies; each bucket keeps, of the options with its largest
    batch, the one with the best score. A bucket's own latency is that of its option.

    Args:
        options: What can be done.
        buckets: How many there are.
        batch_sizes: Batch sizes of the options that are put into them; others are not looked at.
        as_waits: Look only at options whose batch is no larger than what waits. That is not in the paper: as published,
            a lone request is answered by the stitch of a bucket's largest batch, which is often a small one.

    Raises:
        RecipeError: If there is no bucket.
    """

    def __init__(
        self,
        options: Options,
        *,
        buckets: int = 32,
        batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32),
        as_waits: bool = False,
    ) -> None:
        super().__init__(options)
        if buckets < 1:
            raise RecipeError(f"buckets is {buckets}; accepted: 1 and more.")
        sizes = sorted(size for size in batch_sizes if size <= options.max_batch)
        self._sizes = sizes if as_waits else sizes[-1:]
        self._menus = [self._menu(sizes[: sizes.index(size) + 1], buckets) for size in self._sizes]

    def _menu(self, sizes: list[int], buckets: int) -> tuple[list[float], list[tuple[int, int]]]:
        """Return the latencies of the buckets, and the row and batch size of each."""
        seconds, scores = self.options.latencies, self.options.scores
        finite = seconds[np.isfinite(seconds)]
        low, high = float(finite.min()), float(finite.max())
        width = (high - low) / buckets or 1.0
        best: dict[int, tuple[int, float, float, int]] = {}
        for batch in sizes:
            for row, latency in enumerate(seconds[:, batch - 1].tolist()):
                if latency < float("inf"):
                    bucket = min(int((latency - low) / width), buckets - 1)
                    found = (batch, float(scores[row]), -latency, row)
                    best[bucket] = max(best.get(bucket, found), found)
        chosen = sorted((-latency, row, batch) for batch, _, latency, row in best.values())
        # Whatever the buckets, the quickest answer is there: else some slack would find no bucket.
        if chosen[0][0] > low:
            chosen.insert(0, (low, int(seconds[:, 0].argmin()), 1))
        return [latency for latency, _, _ in chosen], [(row, batch) for _, row, batch in chosen]

    def decide(self, waiting: Summary, now: float, workers: Workers) -> Decision:  # noqa: ARG002
        """Return the option of the largest bucket that fits; the most urgent image is given up if none does."""
        slack = (float(waiting.deadlines[0]) - now) / self.options.factor
        latencies, chosen = self._menus[max(bisect_right(self._sizes, len(waiting.deadlines)) - 1, 0)]
        place = bisect_right(latencies, slack) - 1
        row, batch = chosen[max(place, 0)]
        if place < 0 or batch < waiting.least:
            return self.alone(waiting, slack)
        return Run(row, min(batch, len(waiting.deadlines)))
