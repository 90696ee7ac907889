# Tested in tests/searching/test_finding.py.
"""A search under way: fit, predict, run, extend, choose."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from torch import Tensor

from snnet.init import HeldFeatures
from snnet.network import SNNet
from snnet.profiling import step_costs
from snnet.searching.candidates import Costs, Floats, all_cuts, single, with_routes
from snnet.searching.kept import KeptScores
from snnet.searching.learning import WORTH, after_training
from snnet.searching.proposals import Found, Proposals, budgets_between, expected, most_promising
from snnet.searching.race import FEWEST, Race
from snnet.searching.report import NEAR, choose
from snnet.searching.scoring import Judge
from snnet.searching.sensitivity import Sensitivities
from snnet.searching.settings import SearchSettings
from snnet.space import Cut, Stitch, StitchSpace, possible_tap_layers
from snnet.table import AGREEMENT, DIVERGENCE, EXPECTED, StitchRow, StitchTable
from snnet.utils import Show

ROWS = 8
"""Rows of features for each channel of the widest one: enough to tell cuts apart by their least-squares maps."""
PROBED = 64
"""Held-out images, at most, whose gradients predict what cuts cause."""
MEMORY = 2**27
"""Bytes of features or of layers that are kept for one part of the work."""
KEPT, BEAM = 12, 120
"""Routes of each step of the budgets that are run, and that are extended, in each round."""


class Hunt:
    """Finds routes through the anchors of a network, which does not change.

    Args:
        net: The network, in evaluation mode.
        fitting: Images that layers are fitted to.
        judge: Scores routes.
        settings: What to look for.
        kept: Scores that an earlier call has found.
        progress: Shows how far it is.

    Attributes:
        budgets: That routes are chosen for.
        race: What was run, and what it costs.
    """

    def __init__(
        self,
        net: SNNet,
        fitting: Tensor,
        judge: Judge,
        settings: SearchSettings,
        kept: KeptScores,
        progress: Show,
    ) -> None:
        self.net, self.judge, self.settings, self.kept, self.progress = net, judge, settings, kept, progress
        cuts = all_cuts(net.family, resample=net.resample)
        self.parts = Costs.of(net, cuts, partial(step_costs, cost=settings.cost))
        self.anchors = list(StitchSpace.through(net.space.depths))
        self.budgets = budgets_between(self.parts.whole, settings.budgets)
        # What costs more than the largest anchor is of no use.
        singles = Proposals(cuts, self.parts, net.family).singles()
        self.cuts = [cut for cut, cost in zip(cuts, singles.costs, strict=True) if cost <= max(self.parts.whole)]
        self.singles = [single(cut, net.space.depths) for cut in self.cuts]
        whole = dict(zip(self.anchors, self.parts.whole, strict=True))
        images = len(fitting) + len(judge.images)
        self.race = Race(net, judge, whole, images, self.budgets, progress, for_training=settings.for_training)
        features = [anchor.feature(block) for anchor in net.family for block in range(-1, anchor.depth)]
        sizes = [4 * math.prod(feature.shape) for feature in features]
        self._widest = max(feature.channels for feature in features)
        self._probed = min(PROBED, max(4, 2 * MEMORY // (3 * sum(sizes))))
        self._together = min(judge.batch_size, max(1, MEMORY // (8 * max(sizes))))
        # Beginnings of routes run for all images at once, and each of their blocks may have others behind it.
        self._along = max(1, 4 * MEMORY // (max(sizes) * max(anchor.depth for anchor in net.family)))
        # Layers that maps go through and that the network has, trained perhaps.
        self._given = [spec.name for spec in net.layer_specs[len(net.space.layers) :]]
        self.held = self._hold(self.cuts, fitting, -(-ROWS * self._widest // len(fitting)))

    def run_singles(self) -> None:
        """Fit all single cuts, and run the most promising."""
        residuals, predicted = self._predict()
        ends = [self.race.scores[stitch].divergence for stitch in self.anchors]
        singles = Proposals(self.cuts, self.parts, self.net.family, predicted, ends).singles()
        hoped = self._wanted(singles) if self.settings.for_training else residuals * predicted
        self.race.costs |= dict(zip(self.singles, singles.costs.tolist(), strict=True))

        def proposed(keep: int) -> list[Stitch]:
            left = most_promising(singles.costs, hoped, self.budgets, keep)
            return [self.singles[number] for number in left]

        stitches = self.race.affordable(proposed, KEPT)
        self._images = self._run(stitches, len(self.judge.images))
        known = {number: self.race.scores.get(stitch) for number, stitch in enumerate(self.singles)}
        caused = {number: score.own for number, score in known.items() if score is not None}
        self.proposals = Proposals(self.cuts, self.parts, self.net.family, expected(residuals, predicted, caused), ends)

    def run_extended(self) -> None:
        """Extend routes to more cuts, fit the layers of later cuts to what arrives, and run the most promising."""
        found, rounds = self.proposals.singles(), []
        for _ in range(1, self.settings.cuts):
            beam = most_promising(found.costs, self._wanted(found), self.budgets, BEAM)
            found = self.proposals.extended([found.routes[number] for number in beam], self.budgets[-1])
            rounds.append(found)
        every = Found.joined(rounds)
        hoped = self._wanted(every)
        costs = dict[Stitch, float]()

        def proposed(keep: int) -> list[Stitch]:
            left = most_promising(every.costs, hoped, self.budgets, keep)
            stitches = [self.proposals.stitch(every.routes[number]) for number in left]
            costs.update(zip(stitches, every.costs[left].tolist(), strict=True))
            return stitches

        stitches = self.race.affordable(proposed, KEPT)
        self.race.costs |= {stitch: costs[stitch] for stitch in stitches}
        self._images = min(self._images, self._run(stitches, self._images))

    def run_on(self) -> None:
        """Run the best on more images where they were few so far, if that can be twice as many or all."""
        most = len(self.judge.images)
        routes = [route for route in self.race.scores if not route.is_anchor]
        for keep in range(KEPT if self._images < most else 0, 0, -1):
            best = self.race.best(routes, keep)
            if self.race.length(best, most) >= min(2 * self._images, most):
                self._images = self._run(best, most)
                break
        self.race.scores |= self.judge.anchors(self.anchors, self._images)

    def chosen(self, images: Tensor) -> SNNet:
        """Return a network with the best of what was run to the end for each budget, layers fitted to all images."""
        run = [route for route, score in self.race.scores.items() if score.images >= self._images]
        badness = dict(zip(run, self.race.badness(run).tolist(), strict=True))
        costs = {route: self.race.costs[route] for route in run}
        near, least = NEAR, 0.0
        if self.settings.for_training:
            # Of few routes each learns more than of many.
            near, least = 0.0, WORTH * max(badness[anchor] for anchor in self.anchors)
        net = with_routes(self.net, choose(costs, badness, self.budgets.tolist(), near, least))
        routes = [route for route in net.space if not route.is_anchor]
        cuts = list(dict.fromkeys(cut for route in routes for cut in route.cuts))
        if not cuts:
            return net
        joined = {end for cut in cuts for end in ((cut.front, cut.leave), (cut.back, cut.enter - 1))}
        channels = sum(net.anchor(number).feature(block).channels for number, block in joined)
        del self.held
        held = self._hold(cuts, images, max(1, 4 * MEMORY // (4 * channels * len(images))))
        held.fit_along(net, routes, self._images_along(routes), self._given)
        return net

    def _wanted(self, found: Found) -> Floats:
        return after_training(found.divergences, found.lack) if self.settings.for_training else found.divergences

    def table(self) -> StitchTable:
        """Return all candidates."""
        hoped = dict(zip(self.singles, self.proposals.singles().divergences.tolist(), strict=True))
        rows = []
        for number, (stitch, cost) in enumerate(self.race.costs.items()):
            values: dict[str, float] = {self.settings.cost: cost}
            if stitch in hoped:
                values[EXPECTED] = hoped[stitch]
            if stitch in self.race.scores:
                values[DIVERGENCE] = self.race.scores[stitch].divergence
                values[AGREEMENT] = self.race.scores[stitch].agreement
            rows.append(StitchRow(number, stitch.id, values))
        depths = [list(stages) for stages in self.net.space.depths]
        return StitchTable(rows, {"anchors": [anchor.name for anchor in self.net.family], "depths": depths})

    def _hold(self, cuts: Sequence[Cut], images: Tensor, positions: int) -> HeldFeatures:
        """Walk through the anchors once, and hold some rows of the features that cuts join."""
        space = StitchSpace.through(self.net.space.depths, [single(cut, self.net.space.depths) for cut in cuts])
        specs = [space.layer_of(cut) for cut in cuts]
        if self.net.taps is not None:
            specs += possible_tap_layers(self.net.space.depths, self.net.taps)
        return HeldFeatures(self.net, specs, images, positions, self._together, self.progress)

    def _predict(self) -> tuple[Floats, Floats]:
        """Return for each single cut the variance that its map leaves, and the divergence that gradients tell."""
        probe = self.judge.images[: self._probed].to(self.net.device, self.net.dtype)
        sensitivities = Sensitivities(self.net, probe)
        found = {}
        for done, (spec, solution, residual) in enumerate(self.held.fit(self.held.specs[: len(self.cuts)]), start=1):
            found[spec.cuts[0]] = residual, sensitivities.divergence(spec.cuts[0], solution)
            if self.progress:
                self.progress(done, len(self.cuts), "cuts fitted")
        residuals, predicted = zip(*(found[cut] for cut in self.cuts), strict=True)
        return np.array(residuals), np.array(predicted)

    def _run(self, routes: Sequence[Stitch], images: int) -> int:
        """Fit the layers of routes, and run these; return on how many images."""
        images = self.race.length(routes, images)
        together = max(1, 2 * MEMORY // (4 * self._widest**2 * self.settings.cuts))
        for start in range(0, len(routes), together):
            part = routes[start : start + together]
            found = self.kept.of(part, images)
            if found is None:
                net = with_routes(self.net, part)
                self.held.fit_along(net, part, self._images_along(routes), self._given)
                found = self.race.run(net, part, images)
                self.kept.add(found)
            self.race.scores |= found
        return images

    def _images_along(self, routes: Sequence[Stitch]) -> int:
        """Return for how many images the beginnings of routes may run, for what arrives along them."""
        beginnings = self.race.macs((route for route in routes if len(route.cuts) > 1), whole=False)
        return max(FEWEST, min(self._along, int(self.race.work / 2 / max(beginnings, 1.0))))
