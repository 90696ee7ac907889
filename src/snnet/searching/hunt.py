# Tested in tests/searching/test_finding.py.
"""A search under way: fit, predict, run, extend, choose."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from torch import Tensor

from snnet.init import StreamingSums, fit_in_turn, in_turn, sum_up
from snnet.network import SNNet
from snnet.profiling import step_costs
from snnet.searching.candidates import Costs, Floats, all_cuts, single, with_routes
from snnet.searching.proposals import Found, Proposals, budgets_between, expected, most_promising
from snnet.searching.report import after_training, choose
from snnet.searching.scoring import Judge, Score
from snnet.searching.sensitivity import Sensitivities
from snnet.searching.settings import SearchSettings
from snnet.space import LayerSpec, Stitch, StitchSpace
from snnet.table import AGREEMENT, DIVERGENCE, EXPECTED, StitchRow, StitchTable
from snnet.utils import Show

ROWS = 8
"""Rows of features for each channel of the widest one: enough to tell cuts apart by their least-squares maps."""
PROBED = 64
"""Held-out images, at most, whose gradients predict what cuts cause."""
MEMORY = 2**27
"""Bytes of features, and four times as many of their products, that are kept for one part of the work."""
KEPT, BEAM = 12, 120
"""Routes of each step of the budgets that are run, and that are extended, in each round."""


class Hunt:
    """Finds routes through the anchors of a network, which does not change.

    Args:
        net: The network, in evaluation mode.
        fitting: Images that layers are fitted to.
        judge: Scores routes.
        settings: What to look for.
        progress: Shows how far it is.

    Attributes:
        budgets: That routes are chosen for.
        costs: Of all routes that were met.
        scores: Of those that were run.
    """

    def __init__(
        self,
        net: SNNet,
        fitting: Tensor,
        judge: Judge,
        settings: SearchSettings,
        progress: Show,
    ) -> None:
        self.net, self.fitting, self.judge, self.settings, self.progress = net, fitting, judge, settings, progress
        cuts = all_cuts(net.family, resample=net.resample)
        self.parts = Costs.of(net, cuts, partial(step_costs, cost=settings.cost))
        self.anchors = list(StitchSpace.through(net.space.depths))
        self.costs = dict(zip(self.anchors, self.parts.whole, strict=True))
        self.budgets = budgets_between(self.parts.whole, settings.budgets)
        # What costs more than the largest anchor is of no use.
        singles = Proposals(cuts, self.parts, net.family).singles()
        self.cuts = [cut for cut, cost in zip(cuts, singles.costs, strict=True) if cost <= max(self.parts.whole)]
        self.singles = [single(cut, net.space.depths) for cut in self.cuts]
        self.scores = judge.anchors(self.anchors)
        specs = [anchor.feature(block) for anchor in net.family for block in range(-1, anchor.depth)]
        self._widest = max(spec.channels for spec in specs)
        self._positions = -(-ROWS * self._widest // len(fitting))
        every = sum(spec.channels * min(self._positions, math.prod(spec.grid) + spec.prefix_tokens) for spec in specs)
        self._fitted_together = min(judge.batch_size, max(1, MEMORY // (4 * every)))
        self._probed = min(PROBED, max(4, 2 * MEMORY // (4 * 3 * sum(math.prod(spec.shape) for spec in specs))))
        self.proposals = Proposals(self.cuts, self.parts, net.family)

    def run_singles(self) -> None:
        """Fit all single cuts, and run the most promising."""
        sums, specs = self._sum_up()
        residuals, predicted = self._predict(sums, specs)
        singles = self.proposals.singles()
        self.costs |= dict(zip(self.singles, singles.costs.tolist(), strict=True))
        left = most_promising(singles.costs, residuals * predicted, self.budgets, KEPT)
        stitches = [self.singles[number] for number in left]
        net = with_routes(self.net, stitches)
        # Solved a second time, for the maps of all cuts would take more memory than all else.
        for spec, solution, _ in sums.solve_from([specs[number] for number in left]):
            linear = net.layer_named(spec.name).transform
            linear.weight.copy_(solution.weight.T)
            linear.bias.copy_(solution.bias)
        found = self._score(net, stitches)
        caused = {number: found[self.singles[number]].own for number in left}
        ends = [self.scores[stitch].divergence for stitch in self.anchors]
        self.proposals = Proposals(self.cuts, self.parts, self.net.family, expected(residuals, predicted, caused), ends)

    def run_extended(self) -> None:
        """Extend routes to more cuts, fit the layers of later cuts to what arrives, and run the most promising."""
        found, rounds = self.proposals.singles(), []
        for _ in range(1, self.settings.cuts):
            beam = most_promising(found.costs, found.divergences, self.budgets, BEAM)
            found = self.proposals.extended([found.routes[number] for number in beam], self.budgets[-1])
            rounds.append(found)
        every = Found.joined(rounds)
        left = most_promising(every.costs, every.divergences, self.budgets, KEPT)
        stitches = [self.proposals.stitch(every.routes[number]) for number in left]
        if not stitches:
            return
        self.costs |= dict(zip(stitches, every.costs[left].tolist(), strict=True))
        size, most, progress = self._fitted_together, self._positions, self.progress
        # Each later cut has products of its own, of its features with themselves and with those behind it.
        together = max(1, 4 * MEMORY // (2 * 8 * self._widest**2 * (self.settings.cuts - 1)))
        for start in range(0, len(stitches), together):
            part = stitches[start : start + together]
            net = with_routes(self.net, part)
            turns = in_turn(net.space.layers)
            fit_in_turn(net, turns, self.fitting, net.device, None, size, positions=most, progress=progress)
            self._score(net, part)

    def choose(self) -> list[Stitch]:
        """Return the best of what was run for each budget, as it is or as training is expected to make it."""
        badness = {stitch: score.badness for stitch, score in self.scores.items()}
        costs, budgets = {stitch: self.costs[stitch] for stitch in badness}, self.budgets.tolist()
        if self.settings.for_training:
            # Few routes learn more each than many.
            return choose(costs, after_training(badness), budgets, near=0)
        return choose(costs, badness, budgets)

    def table(self) -> StitchTable:
        """Return all candidates."""
        hoped = dict(zip(self.singles, self.proposals.singles().divergences.tolist(), strict=True))
        rows = []
        for number, (stitch, cost) in enumerate(self.costs.items()):
            values: dict[str, float] = {self.settings.cost: cost}
            if stitch in hoped:
                values[EXPECTED] = hoped[stitch]
            if stitch in self.scores:
                values[DIVERGENCE] = self.scores[stitch].divergence
                values[AGREEMENT] = self.scores[stitch].agreement
            rows.append(StitchRow(number, stitch.id, values))
        depths = [list(stages) for stages in self.net.space.depths]
        return StitchTable(rows, {"anchors": [anchor.name for anchor in self.net.family], "depths": depths})

    def _sum_up(self) -> tuple[StreamingSums, list[LayerSpec]]:
        """Return the sums behind the layer of each single cut, and the layers."""
        net, space = self.net, StitchSpace.through(self.net.space.depths, self.singles)
        specs = [space.layer_of(cut) for cut in self.cuts]
        size, most, progress = self._fitted_together, self._positions, self.progress
        _, sums = sum_up(net, specs, self.fitting, net.device, None, size, positions=most, progress=progress)
        return sums, specs

    def _predict(self, sums: StreamingSums, specs: Sequence[LayerSpec]) -> tuple[Floats, Floats]:
        """Return for each single cut the variance that its map leaves, and the divergence that gradients tell."""
        probe = self.judge.images[: self._probed].to(self.net.device, self.net.dtype)
        sensitivities = Sensitivities(self.net, probe)
        found = {}
        for done, (spec, solution, residual) in enumerate(sums.solve_from(specs), start=1):
            found[spec.cuts[0]] = residual, sensitivities.divergence(spec.cuts[0], solution)
            if self.progress:
                self.progress(done, len(specs), "cuts fitted")
        residuals, predicted = zip(*(found[cut] for cut in self.cuts), strict=True)
        return np.array(residuals), np.array(predicted)

    def _score(self, net: SNNet, stitches: Sequence[Stitch]) -> dict[Stitch, Score]:
        scores = self.judge.score(net, stitches, self.progress)
        self.scores |= scores
        return scores
