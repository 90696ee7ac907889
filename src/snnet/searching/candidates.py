"""All single cuts of a family, and what routes through them cost, part by part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnet.anchors import Anchor
from snnet.errors import AnchorError, SpaceError
from snnet.layers import check_positions
from snnet.network import SNNet, ends_of
from snnet.space import Cut, FeatureSpec, Step, Stitch, StitchSpace, segments_of

Floats = NDArray[np.float64]


def all_cuts(anchors: Sequence[Anchor], *, resample: bool = False) -> list[Cut]:
    """Return every cut between two anchors in either direction, and every skip within one.

    Block `enter` receives what the block before it gives, so the feature maps there must have as many positions as
    those at the cut, or be a whole number of times as large where `resample` allows it.

    Raises:
        SpaceError: If there is none.
    """
    cuts = []
    for (front, one), (back, other) in product(enumerate(anchors), repeat=2):
        for leave, enter in product(range(one.depth), range(other.depth)):
            moves_on = front != back or enter > leave + 1
            if moves_on and _fits(one.feature(leave), other.feature(enter - 1), resample=resample):
                cuts.append(Cut(front, leave, back, enter))
    if not cuts:
        raise SpaceError("No cut joins feature maps of one size; choose models that agree, or resample=True.")
    return cuts


def some_routes(net: SNNet, count: int) -> StitchSpace:
    """Return a space of as many routes as a search may find, one cut each, to see whether other settings fit them."""
    cuts = all_cuts(net.family, resample=net.resample)
    return StitchSpace.through(net.space.depths, [single(cut, net.space.depths) for cut in cuts[:count]])


def _fits(source: FeatureSpec, target: FeatureSpec, *, resample: bool) -> bool:
    try:
        check_positions(source, target, resample=resample)
    except AnchorError:
        return False
    return True


@dataclass(frozen=True)
class Costs:
    """What routes cost: sums over their parts.

    Attributes:
        stems: Anchor -> cost of its stem.
        before: Anchor -> cost up to and including each block, stem included.
        behind: Anchor -> cost from each block on, head included; one more entry, of the head alone.
        layers: (source, target) -> cost of the stitching layer.
    """

    stems: Sequence[float]
    before: Sequence[Floats]
    behind: Sequence[Floats]
    layers: Mapping[tuple[FeatureSpec, FeatureSpec], float]

    @classmethod
    def of(cls, net: SNNet, cuts: Sequence[Cut], count: Callable[[SNNet], Mapping[Step, float]]) -> "Costs":
        """Work them out.

        Args:
            net: Gives the anchors.
            cuts: Those whose layers are wanted.
            count: Gives the cost of each step of a network.
        """
        pairs = {ends_of(net.family, cut): cut for cut in cuts}
        routes = [single(cut, net.space.depths) for cut in pairs.values()]
        probe = with_routes(net, routes)
        steps = dict(count(probe))
        # What an anchor puts aside for a head is part of the block before; the head is behind all blocks.
        ends = [Step("head", number) for number in range(len(net.anchors))]
        for number, end in enumerate(ends if net.has_head else ()):
            block = Step("stem", number)
            for step in probe.steps(probe.space[number]):
                if step.kind == "tap":
                    steps[block] += steps[step]
                block = step if step.kind == "block" else block
            steps[end] = steps[Step("decode", 0)]
        layers = {
            pair: steps[Step("stitch", cut.back, layer=probe.space.layer_of(cut).name)] for pair, cut in pairs.items()
        }
        stems, before, behind = [], [], []
        for number, anchor in enumerate(net.family):
            blocks = np.array([steps[Step("block", number, index)] for index in range(anchor.depth)])
            stems.append(steps[Step("stem", number)])
            before.append(steps[Step("stem", number)] + blocks.cumsum())
            behind.append(steps[ends[number]] + np.append(blocks[::-1].cumsum()[::-1], 0))
        return cls(stems, before, behind, layers)

    @property
    def whole(self) -> list[float]:
        """Cost of each anchor."""
        return [float(stem + behind[0]) for stem, behind in zip(self.stems, self.behind, strict=True)]

    def of_cuts(self, anchors: Sequence[Anchor], cuts: Sequence[Cut]) -> Floats:
        """Return what the layer of each cut costs."""
        return np.array([self.layers[ends_of(anchors, cut)] for cut in cuts])


def single(cut: Cut, depths: Sequence[Sequence[int]]) -> Stitch:
    """Return the route with one cut."""
    return Stitch(segments_of((cut,), depths))


def with_routes(net: SNNet, routes: Sequence[Stitch]) -> SNNet:
    """Return a network of the same anchors, weights shared, with these routes; its stitching layers are random.

    A head is shared, too, and layers that maps go through, as far as the network has them.
    """
    space = StitchSpace.through(net.space.depths, routes)
    how: dict[str, Any] = {"resample": net.resample, "norm_on_stitched": net.norm_on_stitched, "taps": net.taps}
    if net.head_source is not None:
        how["head"] = replace(net.head_source, module=net.head)
    other = SNNet(net.family, space, **how, task=net.task)
    for name in other.layers.keys() & {spec.name for spec in net.layer_specs[len(net.space.layers) :]}:
        other.layers[name] = net.layers[name]
    return other.to(net.statistics.home).eval()
