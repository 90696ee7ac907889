"""Which routes are worth running: what they are expected to be, and the most promising at every cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from snnet.anchors import Anchor
from snnet.searching.candidates import Costs, Floats
from snnet.space import Cut, Stitch, segments_of

Route = tuple[int, ...]
"""The cuts of a route, as their numbers."""


@dataclass(frozen=True)
class Found:
    """Routes, what they cost, how far from the largest anchor's they are expected to answer, and what is lasting of it.

    The last is what their blocks lack: see `snnet.searching.learning`.
    """

    costs: Floats
    divergences: Floats
    lack: Floats
    routes: list[Route]

    @classmethod
    def joined(cls, parts: "Sequence[Found]") -> "Found":
        """Return all routes of several as one."""
        none = np.zeros(0)
        return cls(
            np.concatenate([none, *(part.costs for part in parts)]),
            np.concatenate([none, *(part.divergences for part in parts)]),
            np.concatenate([none, *(part.lack for part in parts)]),
            [route for part in parts for route in part.routes],
        )


class Proposals:
    """Routes made of known cuts.

    The divergence that cuts cause is taken to add up along a route, and to that of the anchor that the route ends in.

    Args:
        cuts: All single cuts.
        costs: What parts of routes cost.
        anchors: The family.
        caused: Divergence that each cut is expected to cause in the anchor behind it; none if None.
        ends: Divergence of each whole anchor from the largest; none if None.
    """

    def __init__(
        self,
        cuts: Sequence[Cut],
        costs: Costs,
        anchors: Sequence[Anchor],
        caused: Floats | None = None,
        ends: Sequence[float] | None = None,
    ) -> None:
        self.cuts, self.costs = cuts, costs
        self.depths = [anchor.depths for anchor in anchors]
        self.caused = np.zeros(len(cuts)) if caused is None else caused
        self.whole = np.zeros(len(anchors)) if ends is None else np.array(ends)
        self.ends = self.whole[[cut.back for cut in cuts]]
        self.front = np.array([cut.front for cut in cuts])
        self.leave = np.array([cut.leave for cut in cuts])
        # Blocks that follow the entry.
        self.rest = np.array([anchors[cut.back].depth - cut.enter for cut in cuts])
        # Up to and with the layer of a cut that comes first, and from its entry to the end.
        layers = costs.of_cuts(anchors, cuts)
        self.before = layers + np.array([costs.before[cut.front][cut.leave] for cut in cuts])
        self.behind = np.array([costs.behind[cut.back][cut.enter] for cut in cuts])

    def singles(self) -> Found:
        """Return the routes with one cut."""
        lack = _mean_lack(0.0, 0, self.leave + 1, self.whole[self.front], self.rest, self.ends)
        routes: list[Route] = [(number,) for number in range(len(self.cuts))]
        return Found(self.before + self.behind, self.caused + self.ends, lack, routes)

    def extended(self, routes: Sequence[Route], limit: float) -> Found:
        """Return routes with one more cut behind those of the given ones, as far as they cost no more than `limit`."""
        found = []
        for route in routes:
            last = self.cuts[route[-1]]
            follow = np.flatnonzero((self.front == last.back) & (self.leave >= last.enter))
            costs = self._until(route) - self._up_to(last) + self.before[follow] + self.behind[follow]
            within = costs <= limit
            follow = follow[within]
            divergences = sum(self.caused[list(route)]) + self.caused[follow] + self.ends[follow]
            inside = self.leave[follow] - last.enter + 1
            here = self.whole[last.back]
            lack = _mean_lack(*self._so_far(route), inside, here, self.rest[follow], self.ends[follow])
            found.append(Found(costs[within], divergences, lack, [(*route, int(number)) for number in follow]))
        return Found.joined(found)

    def _so_far(self, route: Route) -> tuple[float, int]:
        """Return what the blocks before the last cut of a route lack, in all, and how many they are."""
        cuts = [self.cuts[number] for number in route]
        counts = [cuts[0].leave + 1, *(other.leave - one.enter + 1 for one, other in pairwise(cuts))]
        return sum(self.whole[cut.front] * count for cut, count in zip(cuts, counts, strict=True)), sum(counts)

    def _until(self, route: Route) -> float:
        """Return what a route costs up to and with its last layer."""
        cost = float(self.before[route[0]])
        for one, other in pairwise(route):
            cost += float(self.before[other]) - self._up_to(self.cuts[one])
        return cost

    def _up_to(self, cut: Cut) -> float:
        """Return what the anchor behind a cut costs before the block that is entered, its stem included."""
        before = self.costs.before[cut.back]
        return float(before[cut.enter - 1]) if cut.enter else self.costs.stems[cut.back]

    def stitch(self, route: Route) -> Stitch:
        """Return the route that makes these cuts."""
        return Stitch(segments_of([self.cuts[number] for number in route], self.depths))


def budgets_between(anchors: Sequence[float], count: int) -> Floats:
    """Return budgets, evenly spaced up to the largest anchor's cost from half of the cheapest one's."""
    return np.asarray(np.linspace(min(anchors) / 2, max(anchors), count + 1)[1:])


def most_promising(costs: Floats, divergences: Floats, budgets: Floats, keep: int) -> list[int]:
    """Return the places of the `keep` lowest divergences at each step of the budgets, the best first."""
    at = np.searchsorted(budgets, costs)
    found: list[int] = []
    for place in range(len(budgets)):
        inside = np.flatnonzero(at == place)
        found += inside[np.argsort(divergences[inside], kind="stable")[:keep]].tolist()
    return found


def expected(residuals: Floats, predicted: Floats, caused: Mapping[int, float]) -> Floats:
    """Return the divergence that each cut is expected to cause.

    Its logarithm is fitted linearly to those of the unexplained variance and of the prediction from gradients, on the
    cuts that were run; these have what was found.
    """
    tiny = 1e-9
    logs = np.stack([np.ones_like(residuals), np.log(residuals + tiny), np.log(predicted + tiny)], axis=1)
    known = list(caused)
    found = np.array([caused[number] for number in known])
    weights, *_ = np.linalg.lstsq(logs[known], np.log(found + tiny), rcond=None)
    values = np.exp(logs @ weights)
    values[known] = found
    return np.asarray(values)


def _mean_lack(lacking: float, count: int, inside: Floats, here: Floats | float, rest: Floats, ends: Floats) -> Floats:
    """Return what blocks lack on average: those so far, those up to another cut, and those behind it."""
    return np.asarray((lacking + inside * here + rest * ends) / (count + inside + rest))
