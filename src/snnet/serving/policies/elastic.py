"""Ours: spend now what no request that waits or is expected will need."""

import math
from collections.abc import Callable
from functools import cached_property, partial
from typing import TypeAlias

from snnet.serving.options import Options
from snnet.serving.policies.candidates import Candidates
from snnet.serving.policies.outlook import Outlook, foresee
from snnet.serving.policies.plain import MaxBatchPolicy
from snnet.serving.policy import POLICIES, Decision, Policy, Run, Workers
from snnet.serving.queue import Summary

_ALLOWANCE_LEVEL = math.log(1.1)
# So many workers are seen as one that is so many times as fast, while at most so many images wait for each. Beyond that
# they run in step, for a burst finds all of them idle.
_CREW, _FEW = 4, 2
# A rate beyond this share of what the quickest stitch can answer cannot last.
_LASTING = 1.0
# What was solved for an allowance so many times as long or as short stands in for what is not solved yet, and so near
# it is as good: a machine that is now slower and now quicker than measured is no reason to solve anew.
_ALIKE, _EQUAL = math.log(4), math.log(1.3)
# One call in twenty takes longer than its 95th percentile, hardly one longer than that and a fifth. Counted double, for
# what an option is expected to take is itself not sure.
_TAIL, _MARGIN = 0.1, 0.2

_REMEMBERED = 500

_Key: TypeAlias = tuple["ElasticPolicy", int, int, int]
"""Whose, for how many workers as one, and the levels of allowance and rate."""


@POLICIES.register("elastic")
class ElasticPolicy(Policy):
    """Weighs what an option loses now against what it makes others lose later.

    For each option: the points that its answers lack to the best score; the images that would be late, which are given
    up, and the risk that others are; and what the state that it leaves costs: images left with their deadlines, and
    those that are expected to arrive while it runs, at the rate of this moment. The last comes from a decision process
    that is solved once for each level of the rate, when the level is met first (`outlook.py`). Where that is done
    beside the decisions, the nearest level that is solved counts meanwhile, and without one `max_batch` decides. Of
    several workers each looks at its share of the queue and of the arrivals, or, while there is little to share, at
    what a few of them do together.

    Args:
        options: What can be done.
        dispersion: Variance over mean of the number of arrivals that it reckons with: more keeps more in reserve.
        rows: Stitches that are considered at each batch size.
        level: Ratio of two neighbouring levels of the rate.
    """

    def __init__(self, options: Options, *, dispersion: float = 4.0, rows: int = 9, level: float = 1.3) -> None:
        super().__init__(options)
        self.dispersion = dispersion
        self._level = math.log(level)
        self._candidates = Candidates.of(options, rows)
        # What is solved when -> what was nearest then.
        self._near: dict[_Key, tuple[int, tuple[Outlook | None, float]]] = {}
        self._pace = float((self._candidates.seconds / self._candidates.images).min())

    def decide(self, waiting: Summary, now: float, workers: Workers) -> Decision:
        """Return the option that loses least."""
        due, factor = waiting.deadlines, self.options.factor
        crew = min(workers.count, _CREW) if len(due) <= _FEW * workers.count else 1
        groups = workers.count / crew
        count, found, most = len(due), None, -math.inf
        # What waits in other lanes is to be answered within about the same time, as if it were still to come.
        expected = (waiting.rate * waiting.allowance + waiting.behind) / groups
        outlook = self._outlook(waiting.allowance / factor, expected, crew)
        if outlook is None:
            return self._meanwhile.decide(waiting, now, workers)
        options, best = outlook.options, self._candidates.best
        slack = (due.item(0) - now) / factor
        for option in outlook.near(math.ceil(count / groups), slack):
            seconds, images = options.taken[option], options.batches[option]
            late = 0 if seconds <= slack else int(due.searchsorted(now + seconds * factor))
            if late + images > count or images < waiting.least:
                continue
            # Of several workers each leaves its share of the rest, and takes from others what is more than its share.
            taken = min(late + round(images * groups), count)
            left = math.ceil((count - late) / groups) - images
            then = now + seconds * factor / crew
            first = (due.item(taken) - then) / factor if taken < count else outlook.allowance
            middle = (due.item((taken + count) // 2) - then) / factor if taken < count else 0.0
            worth = outlook.worth(option, left, first, middle) - best * late
            margin = _MARGIN * seconds
            room = (due.item(late) - now) / factor - seconds
            if room < margin:
                last = min((due.item(late + images - 1) - now) / factor - seconds, margin)
                worth -= _TAIL * best * images * (1 - (room + last) / (2 * margin))
            if worth > most:
                found, most = Run(options.order[option], images, late), worth
        return self.alone(waiting, slack) if found is None else found

    def prepare(self, allowance: float, workers: int) -> None:
        """Solve all levels of the rate, which takes a second or a few.

        Args:
            allowance: Seconds that requests will have.
            workers: How many there will be.
        """
        lowest = self._level_of(0.0)
        for crew in {1, min(workers, _CREW)}:
            highest = self._level_of(_LASTING * allowance * crew / self._pace)
            for level in range(lowest, highest + 1):
                self.plans.make(*self._work(allowance / self.options.factor, math.exp(level * self._level), crew))

    @cached_property
    def _meanwhile(self) -> Policy:
        return MaxBatchPolicy(self.options)

    def _level_of(self, expected: float) -> int:
        return round(math.log(max(expected, 0.05)) / self._level)

    def _work(self, allowance: float, expected: float, crew: int) -> tuple[_Key, Callable[[], Outlook]]:
        """Return what is to be solved for about such an allowance, and arrivals within it for a group of workers."""
        allowance = max(allowance, 1e-6)
        level = self._level_of(min(expected, _LASTING * allowance * crew / self._pace))
        rate = math.exp(level * self._level) / allowance
        key = self, crew, round(math.log(allowance) / _ALLOWANCE_LEVEL), level
        return key, partial(foresee, self._candidates, allowance, rate, self.dispersion, crew)

    def _outlook(self, allowance: float, expected: float, crew: int) -> Outlook | None:
        """Return what was solved for that, or what stands in for it."""
        key, work = self._work(allowance, expected, crew)
        found: Outlook | None = self.plans.kept(key)
        if found is not None:
            return found
        near, apart = self._nearest(key) if self.plans.beside else (None, math.inf)
        return near if apart <= _EQUAL else self.plans.find(key, work) or near

    def _nearest(self, key: _Key) -> tuple[Outlook | None, float]:
        """Return what is solved that is nearest, if anything of about that allowance, and how far away that is."""
        before, found = self._near.get(key, (-1, (None, math.inf)))
        if before == self.plans.count:
            return found
        known = {one: kept for one, kept in self.plans.known().items() if one[:2] == key[:2]}
        apart = {one: (abs(one[2] - key[2]) * _ALLOWANCE_LEVEL, abs(one[3] - key[3]) * self._level) for one in known}
        near = [one for one, (allowance, _) in apart.items() if allowance <= _ALIKE]
        if near:
            best = min(near, key=lambda one: sum(apart[one]))
            found = known[best], sum(apart[best])
        if len(self._near) >= _REMEMBERED:
            self._near.clear()
        self._near[key] = self.plans.count, found
        return found
