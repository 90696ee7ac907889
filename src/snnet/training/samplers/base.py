"""What a sampler is: it says which stitches each step trains."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from snnet.errors import RecipeError, SpaceError
from snnet.registry import Registry
from snnet.route import Stitch


class StitchSampler(ABC):
    """Draws the stitches of each training step.

    A draw depends on nothing but its arguments, so that a resumed run draws what the uninterrupted one would have.
    """

    @abstractmethod
    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:
        """Return the stitches of `step`, at least one, taking all randomness from `generator`.

        Every one of them is run on all images of the step, and the mean of their losses counts.
        """

    def describe(self) -> dict[str, object]:
        """Return what distinguishes this sampler; a run resumes only with an equal description."""
        return {"name": type(self).__name__}


SAMPLERS: Registry[type[StitchSampler]] = Registry("sampler", "snnet.samplers")


def pick(stitches: Sequence[Stitch], generator: torch.Generator) -> Stitch:
    """Return any of the stitches, each with the same probability."""
    return stitches[int(torch.randint(len(stitches), (), generator=generator))]


def check_share(share: float) -> None:
    """Refuse what is no probability of drawing an anchor."""
    if not 0.0 <= share <= 1.0:
        raise RecipeError(f"share is {share}; it is a probability from 0 to 1.")


def check_not_empty(stitches: Sequence[Stitch]) -> None:
    """Refuse to draw from nothing."""
    if not stitches:
        raise SpaceError("There is no stitch to draw from; the space is empty.")
