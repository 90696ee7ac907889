# Tested in tests/training/samplers/test_samplers.py.
"""A share of the steps for the anchors."""

from collections.abc import Sequence

import torch

from snnet.errors import SpaceError
from snnet.space import Stitch
from snnet.training.samplers.base import SAMPLERS, StitchSampler, check_share, pick


@SAMPLERS.register("anchor-share")
class AnchorShareSampler(StitchSampler):
    """An anchor with probability `share`, otherwise any other stitch, each kind uniformly.

    Uniform sampling trains 3 anchors among 71 stitches once in 24 steps; a share of its own protects their accuracy.

    Args:
        stitches: The stitches to draw from, usually a `StitchSpace`; both kinds must occur.
        share: Probability of an anchor, from 0 to 1.
    """

    def __init__(self, stitches: Sequence[Stitch], share: float = 0.2) -> None:
        check_share(share)
        self.share = share
        self.anchors = [stitch for stitch in stitches if stitch.is_anchor]
        self.others = [stitch for stitch in stitches if not stitch.is_anchor]
        if not self.anchors or not self.others:
            raise SpaceError(
                f"The space has {len(self.anchors)} anchors and {len(self.others)} other stitches; "
                "a share of anchors needs both. Use UniformSampler."
            )

    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:  # noqa: ARG002
        """Choose between anchors and other stitches, then one of the kind."""
        wants_anchor = torch.rand((), generator=generator).item() < self.share
        return (pick(self.anchors if wants_anchor else self.others, generator),)

    def describe(self) -> dict[str, object]:
        """Return the name and the share."""
        return {**super().describe(), "share": self.share}
