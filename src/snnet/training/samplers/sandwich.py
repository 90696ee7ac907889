"""The sandwich rule: the extremes of the space at every step, and a few stitches between them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from snnet.errors import RecipeError
from snnet.space import Stitch
from snnet.table import COST
from snnet.training.samplers.samplers import SAMPLERS, StitchSampler, check_not_empty
from snnet.utils import counted


@SAMPLERS.register("sandwich")
class SandwichSampler(StitchSampler):
    """The largest stitch, the smallest, and some others, all at every step (arXiv 1903.05134, section 3.2).

    The largest comes first, so that in-place distillation lets it teach the others. A step costs as much as its
    stitches together. Largest and smallest are anchors where there are any: a route that runs blocks of both sides
    of its cut can cost more than the largest anchor and is not the better teacher for it.

    Args:
        stitches: The stitches to draw from, usually a `StitchSpace`.
        macs: Id of each stitch -> its multiply-adds.
        random: How many others are drawn, none twice in a step.
    """

    wants_frozen = True

    def __init__(self, stitches: Sequence[Stitch], macs: Mapping[str, float], random: int = 2) -> None:
        check_not_empty(stitches)
        ends = sorted([s for s in stitches if s.is_anchor] or stitches, key=lambda stitch: macs[stitch.id])
        # In a space of one stitch both ends are the same.
        self.ends = tuple(dict.fromkeys((ends[-1], ends[0])))
        self.others = [stitch for stitch in stitches if stitch not in self.ends]
        if not 0 <= random <= len(self.others):
            raise RecipeError(
                f"random is {random}; a step can take 0 to {counted(len(self.others), 'stitch')} besides the largest "
                "and the smallest."
            )
        self.random = random

    @classmethod
    def columns(cls, **options: Any) -> tuple[str, ...]:  # noqa: ARG003
        """Return `macs`."""
        return (COST,)

    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:  # noqa: ARG002
        """Return the largest stitch, the smallest, and others."""
        chosen = torch.randperm(len(self.others), generator=generator)[: self.random]
        return (*self.ends, *(self.others[number] for number in chosen.tolist()))

    def describe(self) -> dict[str, object]:
        """Return the name, the two ends, and how many others a step takes."""
        return {**super().describe(), "ends": [end.id for end in self.ends], "random": self.random}
