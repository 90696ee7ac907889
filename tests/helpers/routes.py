"""Routes of spaces without networks, and networks of routes that no windows give."""

import torch

from snnet.network import SNNet
from snnet.space import Step, Stitch, StitchSpace
from tests.conftest import build_tiny_anchor

SKIPS = ("0:0-1,0:2-4", "0:0-2,0:3-4", "0:0-1,0:3-4")
# Of two anchors: large to small, skips in both, a re-entry, blocks that run twice in a row of cuts, a jump back.
FREE = (
    "1:0-2,0:2-4",
    "0:0-1,0:2-4",
    "1:0-1,1:3-4",
    "1:0-1,0:1-2,1:3-4",
    "1:0-1,0:1-2,1:1-4",
    "1:0-1,0:1-2,1:0-1,0:1-4",
    "0:0-3,1:0-4",
)


def build_free_net(anchors: int, **anchor: object) -> SNNet:
    """One or two tiny 4-block ViTs with skips, cuts from large to small, and routes that come back."""
    torch.manual_seed(0)
    family = [build_tiny_anchor(width, **anchor) for width in (16, 32)[:anchors]]  # type: ignore[arg-type]
    routes = map(Stitch, SKIPS if anchors == 1 else FREE)
    return SNNet(family, StitchSpace.through([one.depths for one in family], routes)).eval()


def steps_of(space: StitchSpace, stitch: Stitch) -> tuple[Step, ...]:
    """Steps as a network of plain anchors has them."""
    steps = [Step("stem", stitch.anchors[0], 0)]
    hops = (None, *zip(stitch.cuts, stitch.beginnings, strict=True))
    for hop, segment in zip(hops, stitch.segments, strict=True):
        if hop is not None:
            steps.append(Step("stitch", segment.anchor, 0, space.layer_of(*hop).name))
        steps += [Step("block", segment.anchor, k) for k in range(segment.start, segment.stop)]
    return (*steps, Step("head", stitch.anchors[-1], 0))


def routes_of(space: StitchSpace) -> dict[Stitch, tuple[Step, ...]]:
    return {stitch: steps_of(space, stitch) for stitch in space}
