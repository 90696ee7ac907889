"""Every range of cost equally often, however many stitches lie in it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from snnet.errors import RecipeError
from snnet.space import Stitch
from snnet.table import COST
from snnet.training.checkpoint import content_digest
from snnet.training.samplers.samplers import SAMPLERS, StitchSampler, check_not_empty, pick


@SAMPLERS.register("macs-buckets")
class MacsBucketsSampler(StitchSampler):
    """A range of multiply-adds, then a stitch within it, each uniformly (after SN-Netv2, arXiv 2307.00154).

    The stitches of a space crowd at some costs; drawn uniformly, the others are seldom trained. The ranges are
    equally wide, from the cheapest stitch to the most expensive, and empty ones are passed over.

    Args:
        stitches: The stitches to draw from, usually a `StitchSpace`.
        macs: Id of each stitch -> its multiply-adds.
        buckets: Number of ranges.
    """

    def __init__(self, stitches: Sequence[Stitch], macs: Mapping[str, float], buckets: int = 10) -> None:
        check_not_empty(stitches)
        if buckets < 1:
            raise RecipeError(f"buckets is {buckets}; there must be at least 1.")
        lowest, highest = (end(macs[stitch.id] for stitch in stitches) for end in (min, max))
        width = (highest - lowest) / buckets or 1.0
        found: dict[int, list[Stitch]] = {}
        for stitch in stitches:
            # The most expensive stitch belongs to the last range, not to one of its own.
            number = min(int((macs[stitch.id] - lowest) / width), buckets - 1)
            found.setdefault(number, []).append(stitch)
        self.buckets = [found[number] for number in sorted(found)]

    @classmethod
    def columns(cls, **options: Any) -> tuple[str, ...]:  # noqa: ARG003
        """Return `macs`."""
        return (COST,)

    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:  # noqa: ARG002
        """Choose a range, then a stitch of it."""
        bucket = self.buckets[int(torch.randint(len(self.buckets), (), generator=generator))]
        return (pick(bucket, generator),)

    def describe(self) -> dict[str, object]:
        """Return the name, and a checksum of what lies in each range."""
        ids = [[stitch.id for stitch in bucket] for bucket in self.buckets]
        return {**super().describe(), "buckets": len(ids), "stitches": content_digest(ids)}
