"""Which stitch is trained at a step."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from snnet.errors import RecipeError, SpaceError
from snnet.registry import Registry
from snnet.route import Stitch


class StitchSampler(ABC):
    """Draws the stitch of each training step.

    A draw depends on nothing but its arguments, so that a resumed run draws what the uninterrupted one would have.
    """

    @abstractmethod
    def draw(self, step: int, generator: torch.Generator) -> Stitch:
        """Return the stitch of `step`, taking all randomness from `generator`."""

    def describe(self) -> dict[str, object]:
        """Return what distinguishes this sampler; a run resumes only with an equal description."""
        return {"name": type(self).__name__}


SAMPLERS: Registry[type[StitchSampler]] = Registry("sampler", "snnet.samplers")


@SAMPLERS.register("uniform")
class UniformSampler(StitchSampler):
    """Every stitch with the same probability (Stitchable Neural Networks, algorithm 1).

    Args:
        stitches: The stitches to draw from, usually a `StitchSpace`.
    """

    def __init__(self, stitches: Sequence[Stitch]) -> None:
        if not stitches:
            raise SpaceError("There is no stitch to draw from; the space is empty.")
        self.stitches = stitches

    def draw(self, step: int, generator: torch.Generator) -> Stitch:  # noqa: ARG002
        """Return any stitch."""
        return _pick(self.stitches, generator)


@SAMPLERS.register("anchor-share")
class AnchorShareSampler(StitchSampler):
    """An anchor with probability `share`, otherwise any other stitch, each kind uniformly.

    Uniform sampling trains 3 anchors among 71 stitches once in 24 steps; a share of its own protects their accuracy.

    Args:
        stitches: The stitches to draw from, usually a `StitchSpace`; both kinds must occur.
        share: Probability of an anchor, from 0 to 1.
    """

    def __init__(self, stitches: Sequence[Stitch], share: float = 0.2) -> None:
        if not 0.0 <= share <= 1.0:
            raise RecipeError(f"share is {share}; it is a probability from 0 to 1.")
        self.share = share
        self.anchors = [stitch for stitch in stitches if stitch.is_anchor]
        self.others = [stitch for stitch in stitches if not stitch.is_anchor]
        if not self.anchors or not self.others:
            raise SpaceError(
                f"The space has {len(self.anchors)} anchors and {len(self.others)} other stitches; "
                "a share of anchors needs both. Use UniformSampler."
            )

    def draw(self, step: int, generator: torch.Generator) -> Stitch:  # noqa: ARG002
        """Choose between anchors and other stitches, then one of the kind."""
        wants_anchor = torch.rand((), generator=generator).item() < self.share
        return _pick(self.anchors if wants_anchor else self.others, generator)

    def describe(self) -> dict[str, object]:
        """Return the name and the share."""
        return {**super().describe(), "share": self.share}


def _pick(stitches: Sequence[Stitch], generator: torch.Generator) -> Stitch:
    return stitches[int(torch.randint(len(stitches), (), generator=generator))]
