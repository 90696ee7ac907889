# Tested in tests/serving/policies/test_policies.py.
"""Separate models, of which a worker holds one at a time: what is done without a stitchable network."""

from bisect import bisect_right
from collections.abc import Mapping

from snnet.serving.options import Options
from snnet.serving.policy import POLICIES, Decision, Drop, Policy, Run, Workers
from snnet.serving.queue import Summary


@POLICIES.register("switching")
class SwitchingPolicy(Policy):
    """Holds the best model that keeps up with the requests, and loads another when that changes.

    A model keeps up if it answers what waits by the last deadline in the queue, and no slower than requests arrive. A
    better one than that in place is loaded only if it keeps up with a fifth to spare, and only if the most urgent
    request can be answered after loading.

    Args:
        options: What can be done: one row for each model.
        loading: Seconds that it takes to load each stitch.
        spare: How much faster than needed a better model must be.
    """

    swaps = True

    def __init__(self, options: Options, *, loading: Mapping[str, float] | None = None, spare: float = 1.2) -> None:
        super().__init__(options)
        self._loading = [dict(loading or {}).get(name, 0.0) for name in options.stitches]
        self._seconds = [row.tolist() for row in options.latencies]
        self._places = {name: place for place, name in enumerate(options.stitches)}
        self._spare = spare
        # Per image, at the batch size where that is least.
        self._pace = [min(s / n for n, s in enumerate(row, 1)) for row in self._seconds]

    def decide(self, waiting: Summary, now: float, workers: Workers) -> Decision:
        """Return a batch of the model in place, or of a better suited one that is loaded for it."""
        factor, count = self.options.factor, len(waiting.deadlines)
        slack = (float(waiting.deadlines[0]) - now) / factor
        last = (float(waiting.deadlines[-1]) - now) / factor
        present = self._places.get(workers.loaded, -1)
        for row in sorted(range(len(self._seconds)), reverse=True):
            # The first model must be loaded, whoever has to wait for it.
            loading = 0.0 if row == present or present < 0 else self._loading[row] / factor
            spare = self._spare if row > present >= 0 else 1.0
            pace = self._pace[row] * spare * factor
            images = min(bisect_right(self._seconds[row], slack - loading), count)
            keeps_up = (
                count * pace <= (last - loading) * factor * workers.count and waiting.rate * pace <= workers.count
            )
            if images >= waiting.least and keeps_up:
                return Run(row, images)
        images = min(bisect_right(self._seconds[present], slack), count) if present >= 0 else 0
        fastest = min(range(len(self._pace)), key=self._pace.__getitem__)
        loading = self._loading[fastest] / factor if present >= 0 else 0.0
        loaded = min(bisect_right(self._seconds[fastest], slack - loading), count)
        if loaded >= waiting.least and (images < waiting.least or present == fastest):
            return Run(fastest, loaded)
        if images >= waiting.least:
            return Run(present, images)
        return Drop(waiting.least)

    def loading_seconds(self, loaded: str, row: int) -> float:
        """Return how long the model of `row` takes to load where another one is `loaded`."""
        return 0.0 if self._places.get(loaded) == row else self._loading[row]
