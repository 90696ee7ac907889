# Tested in tests/training/samplers/test_samplers.py.
"""What a sampler is: it says which stitches each step trains."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch

from snnet.errors import RecipeError, SpaceError, TableError, TrainingError
from snnet.space import Stitch
from snnet.table import StitchTable, column, measured
from snnet.utils import Registry


class StitchSampler(ABC):
    """Draws the stitches of each training step.

    A draw depends on nothing but its arguments, so that a resumed run draws what the uninterrupted one would have.

    Attributes:
        wants_frozen: Whether a recipe lets it draw frozen anchors too, which can teach other stitches of a step and
            have nothing to train themselves.
    """

    wants_frozen: ClassVar[bool] = False

    @abstractmethod
    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:
        """Return the stitches of `step`, at least one, taking all randomness from `generator`.

        Every one of them is run on all images of the step, and the mean of their losses counts.
        """

    @classmethod
    def columns(cls, **options: Any) -> tuple[str, ...]:  # noqa: ARG003
        """Return the columns of a table that `build` reads with these options, such as `macs` or `top1`."""
        return ()

    @classmethod
    def build(cls, stitches: Sequence[Stitch], table: StitchTable, **options: Any) -> "StitchSampler":  # noqa: ARG003
        """Return the sampler that a recipe names.

        Args:
            stitches: The stitches to draw from, usually a `StitchSpace`.
            table: What they cost, from `snnet.profile`; with their scores, if `columns` asks for them.
            options: The sampler's own settings.

        Raises:
            TypeError: If there is no such option.
            TableError: If the table lacks a value.
        """
        sampler: StitchSampler = cast(Any, cls)(stitches, **options)
        return sampler

    def describe(self) -> dict[str, object]:
        """Return what distinguishes this sampler; a run resumes only with an equal description."""
        return {"name": type(self).__name__}


SAMPLERS: Registry[type[StitchSampler]] = Registry("sampler", "snnet.samplers")
"""Sampler classes by name; `@SAMPLERS.register("name")` files one."""


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


def values_of(stitches: Sequence[Stitch], table: StitchTable, name: str) -> list[float]:
    """Return one column for the stitches, in their order.

    Raises:
        TableError: If a stitch has no finite value; the message names the command that measures it.
    """
    lacking = [str(stitch) for stitch in stitches if stitch not in table or not measured(table[stitch], name)]
    if lacking:
        # Never test images: what they say must not decide what is trained.
        is_score = column(name).role == "score"
        command = "snnet evaluate NETWORK --split train" if is_score else "snnet profile NETWORK"
        raise TableError(
            f"The sampler needs {name!r} of every stitch, and {len(lacking)} of {len(stitches)} have none "
            f"({', '.join(lacking[:3])}); `{command}` measures it."
        )
    return [table[stitch].values[name] for stitch in stitches]


def checked_draw(sampler: StitchSampler, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:
    """Return the stitches that a sampler draws for a step.

    Raises:
        TrainingError: If it is not a tuple of at least one.
    """
    stitches = sampler.draw(step, generator)
    if not isinstance(stitches, tuple) or not stitches:
        raise TrainingError(
            f"{type(sampler).__name__}.draw gave {stitches!r}; it must give a tuple of at least one stitch."
        )
    return stitches
