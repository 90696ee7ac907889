"""Routes that run: all on a few held-out images, the best of them on more."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from snnet.network import SNNet, Tree
from snnet.profiling import step_costs
from snnet.searching.candidates import Floats, with_routes
from snnet.searching.proposals import most_promising
from snnet.searching.scoring import Judge, Score
from snnet.space import Stitch, route_steps
from snnet.utils import Show

FEWEST, SHORT = 8, 32
"""Held-out images that a route is run on at least, and at first."""
LEFT = 4
"""Routes of each step of the budgets that run on, at most."""
WORK = 2.0**40
"""MACs that one part of a race may take, if that is more than all images take through the anchors."""


class Race:
    """Runs routes, within bounds.

    Args:
        net: Gives the anchors.
        judge: Scores routes.
        anchors: The anchors as routes; they are scored at once.
        images: How many images the search has, in all.
        budgets: Routes compete within each step of these.
        progress: Shows how far it is.

    Attributes:
        costs: Of all routes that were met.
        scores: Of those that were run.
    """

    def __init__(
        self, net: SNNet, judge: Judge, anchors: Mapping[Stitch, float], images: int, budgets: Floats, progress: Show
    ) -> None:
        self.judge, self.budgets, self.progress = judge, budgets, progress
        self.costs = dict(anchors)
        self.scores = judge.anchors(list(anchors))
        self._macs = step_costs(with_routes(net, ()))
        self.work = max(WORK, images * self.macs(anchors))

    def macs(self, routes: Iterable[Stitch], whole: bool = True) -> float:
        """Return what it takes to run routes for one image, or what comes before their last cuts."""
        tree = Tree()
        for route in routes:
            steps = route_steps(route, lambda cut, after: f"{after},{cut}")
            last = max((place for place, step in enumerate(steps) if step.kind == "stitch"), default=0)
            tree.add(route, steps if whole else steps[: last + 1])
        return tree.weight(lambda step: self._macs.get(step, 0.0))

    def affordable(self, proposed: Callable[[int], Sequence[Stitch]], most: int) -> Sequence[Stitch]:
        """Return what is proposed for each step, at most `most`, as far as a few images can be run."""
        for keep in range(most, 1, -1):
            routes = proposed(keep)
            if FEWEST * self.macs(routes) <= self.work:
                return routes
        return proposed(1)

    def lengths(self, routes: Sequence[Stitch], images: int) -> tuple[int, int]:
        """Return on how many images routes are run, and the best of them, where `images` are wanted."""
        each = self.macs(routes)
        steps = np.searchsorted(self.budgets, np.array([self.costs[route] for route in routes]))
        _, counts = np.unique(steps, return_counts=True)
        left = each * np.minimum(counts, LEFT).sum() / max(len(routes), 1)
        first = min(images, SHORT, max(FEWEST, int(self.work / max(each, 1.0))))
        more = max(0, int((self.work - first * each) / max(left, 1.0)))
        return first, min(images, first + more)

    def run(self, net: SNNet, routes: Sequence[Stitch], first: int, last: int) -> None:
        """Run routes of a network on `first` images, and the best of each step on, to the `last`."""
        known = {route: self.scores.setdefault(route, Score()) for route in routes}
        self.judge.score(net, known, first, self.progress)
        self.judge.score(net, {route: known[route] for route in self.best(routes, LEFT)}, last, self.progress)

    def best(self, routes: Sequence[Stitch], keep: int) -> list[Stitch]:
        """Return the best of each step so far."""
        badness = np.array([self.scores[route].badness for route in routes])
        costs = np.array([self.costs[route] for route in routes])
        return [routes[place] for place in most_promising(costs, badness, self.budgets, keep)]
