"""Ours: spend now what no request that waits or is expected will need."""

import math

import numpy as np

from snnet.serving.options import Options
from snnet.serving.policies.candidates import Candidates
from snnet.serving.policies.outlook import Outlook, foresee
from snnet.serving.policy import POLICIES, Decision, Policy, Run, Workers
from snnet.serving.queue import Summary

_ALLOWANCE_LEVEL = math.log(1.1)


@POLICIES.register("elastic")
class ElasticPolicy(Policy):
    """Weighs what an option loses now against what it makes others lose later.

    For each option: the points that its answers lack to the best score; the images that would be late, which are given
    up; and what the state that it leaves costs: images left with their deadlines, and those that are expected to
    arrive while it runs, at the rate of this moment. The last comes from a decision process that is solved once for
    each level of the rate, when the level is met first (`outlook.py`). Of several workers each looks at its share of
    the queue and of the arrivals.

    Args:
        options: What can be done.
        dispersion: Variance over mean of the number of arrivals that it reckons with: more keeps more in reserve.
        rows: Stitches that are considered at each batch size.
        level: Ratio of two neighbouring levels of the rate.
    """

    def __init__(self, options: Options, *, dispersion: float = 4.0, rows: int = 9, level: float = 1.3) -> None:
        super().__init__(options)
        self.dispersion, self.level = dispersion, level
        self._candidates = Candidates.of(options, rows)
        self._outlooks: dict[tuple[int, int], Outlook] = {}

    def decide(self, waiting: Summary, now: float, workers: Workers) -> Decision:
        """Return the option that loses least."""
        factor, crew = self.options.factor, workers.count
        slack = (waiting.deadlines - now) / factor
        count = len(slack)
        outlook = self._outlook(waiting.allowance / factor, waiting.rate * factor / crew)
        shown = outlook.upto[min(count, len(outlook.upto) - 1)]
        seconds, images = outlook.options.seconds[:shown], outlook.options.images[:shown]
        late = slack.searchsorted(seconds)
        possible = late + images <= count
        if waiting.least > 1:
            possible &= images >= waiting.least
        if not possible.any():
            return self.alone(waiting, float(slack[0]))
        # Of several workers each leaves its share of the rest, and takes from others what is more than its share.
        taken = np.minimum(late + images * crew, count)
        left = count - taken if crew == 1 else -(-(count - late) // crew) - images
        first = slack.take(taken, mode="clip") - seconds
        middle = slack.take((taken + count) >> 1, mode="clip") - seconds
        values = outlook.values(left, first, middle) - outlook.options.best * late
        values[~possible] = -math.inf
        best = int(values.argmax())
        return Run(int(outlook.options.rows[best]), int(images[best]), int(late[best]))

    def _outlook(self, allowance: float, rate: float) -> Outlook:
        """Return what was solved for about such an allowance and rate."""
        known = max(allowance, 1e-6)
        level = round(math.log(max(rate * known, 0.05)) / math.log(self.level))
        key = round(math.log(known) / _ALLOWANCE_LEVEL), level
        if key not in self._outlooks:
            rate = self.level**level / known
            self._outlooks[key] = foresee(self._candidates, known, rate, dispersion=self.dispersion)
        return self._outlooks[key]
