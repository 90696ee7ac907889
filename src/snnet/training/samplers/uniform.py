# Tested in tests/training/samplers/test_samplers.py.
"""Every stitch equally often."""

from collections.abc import Sequence

import torch

from snnet.space import Stitch
from snnet.training.samplers.base import SAMPLERS, StitchSampler, check_not_empty, pick


@SAMPLERS.register("uniform")
class UniformSampler(StitchSampler):
    """Every stitch with the same probability (Stitchable Neural Networks, algorithm 1).

    Args:
        stitches: The stitches to draw from, usually a `StitchSpace`.
    """

    def __init__(self, stitches: Sequence[Stitch]) -> None:
        check_not_empty(stitches)
        self.stitches = stitches

    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:  # noqa: ARG002
        """Return any stitch."""
        return (pick(self.stitches, generator),)
