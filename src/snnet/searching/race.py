"""Routes that run, as many and on as many held-out images as is worth it."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from snnet.network import SNNet, Tree
from snnet.profiling import step_costs
from snnet.searching.candidates import Floats, with_routes
from snnet.searching.learning import after_training, lacking
from snnet.searching.proposals import most_promising
from snnet.searching.scoring import Judge, Score
from snnet.space import Step, Stitch, route_steps
from snnet.utils import Show

FEWEST = 8
"""Held-out images that a route is run on at least."""
WORK, SHARE = 2e12, 0.75
"""MACs that one part of a race may take; or this share of what all images take through the anchors, if that is more."""


class Race:
    """Runs routes, within bounds.

    Args:
        net: Gives the anchors.
        judge: Scores routes.
        anchors: The anchors as routes; they are scored at once.
        images: How many images the search has, in all.
        budgets: Routes compete within each step of these.
        progress: Shows how far it is.
        for_training: The best are those that will be once they are trained.

    Attributes:
        costs: Of all routes that were met.
        scores: Of those that were run.
    """

    def __init__(
        self,
        net: SNNet,
        judge: Judge,
        anchors: Mapping[Stitch, float],
        images: int,
        budgets: Floats,
        progress: Show,
        *,
        for_training: bool = False,
    ) -> None:
        self.for_training = for_training
        self.judge, self.budgets, self.progress = judge, budgets, progress
        self.costs = dict(anchors)
        self.scores = judge.anchors(list(anchors))
        self._macs = step_costs(with_routes(net, ()))
        self.work = max(WORK, SHARE * images * self.macs(anchors))

    def macs(self, routes: Iterable[Stitch], whole: bool = True) -> float:
        """Return what it takes to run routes for one image, or what comes before their last cuts."""
        tree = Tree()
        for route in routes:
            steps = route_steps(route, lambda cut, after: f"{after},{cut}")
            last = max((place for place, step in enumerate(steps) if step.kind == "stitch"), default=0)
            tree.add(route, steps if whole else steps[: last + 1])
        head = self._macs.get(Step("decode", 0), 0.0)
        return tree.weight(lambda step: self._macs.get(step, head if step.kind.startswith("head") else 0.0))

    def affordable(self, proposed: Callable[[int], Sequence[Stitch]], most: int) -> Sequence[Stitch]:
        """Return what is proposed for each step, at most `most`, as far as a few images can be run."""
        for keep in range(most, 1, -1):
            routes = proposed(keep)
            if FEWEST * self.macs(routes) <= self.work:
                return routes
        return proposed(1)

    def length(self, routes: Sequence[Stitch], images: int) -> int:
        """Return on how many images routes are run, where `images` are wanted."""
        return min(images, max(FEWEST, int(self.work / max(self.macs(routes), 1.0))))

    def run(self, net: SNNet, routes: Sequence[Stitch], images: int) -> dict[Stitch, Score]:
        """Run routes of a network on so many images, and return what they score."""
        found = {route: Score() for route in routes}
        self.judge.score(net, found, images, self.progress)
        return found

    def best(self, routes: Sequence[Stitch], keep: int) -> list[Stitch]:
        """Return the best of each step so far."""
        costs = np.array([self.costs[route] for route in routes])
        return [routes[place] for place in most_promising(costs, self.badness(routes), self.budgets, keep)]

    def badness(self, routes: Sequence[Stitch]) -> Floats:
        """Return how bad routes are, or how bad they will be once they are trained."""
        found = np.array([self.scores[route].badness for route in routes])
        if not self.for_training:
            return found
        whole = {route.anchors[0]: score.badness for route, score in self.scores.items() if route.is_anchor}
        return after_training(found, np.array([lacking(route, whole) for route in routes]))
