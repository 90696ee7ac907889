# Tested in tests/serving/policies/test_policies.py.
"""Policies with one idea each, to compare others with."""

from bisect import bisect_right

import numpy as np

from snnet.errors import BudgetError
from snnet.serving.options import Options
from snnet.serving.policy import POLICIES, Decision, Drop, Policy, Run, Workers
from snnet.serving.queue import Summary


@POLICIES.register("fixed")
class FixedPolicy(Policy):
    """One stitch for all, in the largest batches that are over by the deadline of the most urgent request.

    Args:
        options: What can be done.
        stitch: Id of the stitch; the one with the best score if empty.

    Raises:
        BudgetError: If there is no such stitch.
    """

    def __init__(self, options: Options, *, stitch: str = "") -> None:
        super().__init__(options)
        names = options.stitches
        if stitch and stitch not in names:
            raise BudgetError(f"There is no stitch {stitch!r} among the useful ones: {', '.join(names)}.")
        self._row = names.index(stitch) if stitch else len(names) - 1
        self._seconds = options.latencies[self._row].tolist()

    def decide(self, waiting: Summary, now: float, workers: Workers) -> Decision:  # noqa: ARG002
        """Return a batch of the stitch; the most urgent image is given up if it cannot be answered in time."""
        slack = (float(waiting.deadlines[0]) - now) / self.options.factor
        images = min(bisect_right(self._seconds, slack), len(waiting.deadlines))
        return Run(self._row, images) if images >= waiting.least else Drop(waiting.least)


class _GreedyPolicy(Policy):
    """Takes what fits the slack of the most urgent request, first by one of score and batch size, then by the other."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        rows, batches = options.latencies.shape
        self._rows = [options.latencies[row].tolist() for row in range(rows)]
        self._columns = [options.latencies[:, batch] for batch in range(batches)]

    def _largest_row(self, images: int, slack: float) -> int:
        """Return the row with the best score that answers so many images in time, or -1."""
        fits = np.flatnonzero(self._columns[images - 1] <= slack)
        return int(fits[-1]) if len(fits) else -1


@POLICIES.register("max_accuracy")
class MaxAccuracyPolicy(_GreedyPolicy):
    """The stitch with the best score that answers the most urgent request in time, in the largest batch that fits."""

    def decide(self, waiting: Summary, now: float, workers: Workers) -> Decision:  # noqa: ARG002
        """Return the best stitch that fits; the most urgent request is given up if none does."""
        slack = (float(waiting.deadlines[0]) - now) / self.options.factor
        row = self._largest_row(waiting.least, slack) if waiting.least <= self.options.max_batch else -1
        if row < 0:
            return Drop(waiting.least)
        return Run(row, min(bisect_right(self._rows[row], slack), len(waiting.deadlines)))


@POLICIES.register("max_batch")
class MaxBatchPolicy(_GreedyPolicy):
    """The largest batch that fits the slack of the most urgent request, by the best stitch that fits with it."""

    def decide(self, waiting: Summary, now: float, workers: Workers) -> Decision:  # noqa: ARG002
        """Return the largest batch that fits; the most urgent request is given up if none does."""
        slack = (float(waiting.deadlines[0]) - now) / self.options.factor
        for images in range(min(len(waiting.deadlines), self.options.max_batch), waiting.least - 1, -1):
            if (row := self._largest_row(images, slack)) >= 0:
                return Run(row, images)
        return Drop(waiting.least)
