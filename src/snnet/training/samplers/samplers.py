"""What a sampler is: it says which stitches each step trains; and the plain ones."""

from abc import ABC, abstractmethod
from collections.abc import Container, Sequence
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
    def build(cls, stitches: Sequence[Stitch], table: StitchTable, **options: Any) -> "StitchSampler":
        """Return the sampler that a recipe names; of each column of `columns` it gets id -> value, in order.

        Args:
            stitches: The stitches to draw from, usually a `StitchSpace`.
            table: What they cost, from `snnet.profile`; with their scores, if `columns` asks for them.
            options: The sampler's own settings.

        Raises:
            TypeError: If there is no such option.
            TableError: If the table lacks a value.
        """
        columns = (values_of(stitches, table, name) for name in cls.columns(**options))
        sampler: StitchSampler = cast(Any, cls)(stitches, *columns, **options)
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


def values_of(stitches: Sequence[Stitch], table: StitchTable, name: str) -> dict[str, float]:
    """Return one column for the stitches, by their ids.

    Raises:
        TableError: If a stitch has no finite value; the message names the command that measures it.
    """
    lacking = [str(stitch) for stitch in stitches if stitch not in table or not measured(table[stitch], name)]
    if lacking:
        # Never test images: what they say must not decide what is trained.
        is_score = column(name).role == "score"
        command = "snnet evaluate NETWORK --split train" if is_score else "snnet profile NETWORK"
        raise TableError(
            f"The sampler needs {name!r} of every stitch, and {len(lacking):,} of {len(stitches):,} have none "
            f"({', '.join(lacking[:3])}); `{command}` measures it."
        )
    return {stitch.id: table[stitch].values[name] for stitch in stitches}


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


def with_something_to_train(stitches: Sequence[Stitch], frozen: Container[int]) -> list[Stitch]:
    """Return the stitches without frozen anchors alone.

    Args:
        stitches: Those of a space.
        frozen: Numbers of the anchors that stay as they are.
    """
    return [route for route in stitches if not (route.is_anchor and route.anchors[0] in frozen)]


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


@SAMPLERS.register("anchor-share")
class AnchorShareSampler(StitchSampler):
    """An anchor with probability `share`, otherwise any other stitch, each kind uniformly.

    Uniform sampling trains 3 anchors among 71 stitches once in 24 steps; a share of its own protects their accuracy.

    Args:
        stitches: The stitches to draw from, usually a `StitchSpace`.
        share: Probability of an anchor, from 0 to 1. Where one kind is missing, all steps go to the other.
    """

    def __init__(self, stitches: Sequence[Stitch], share: float = 0.2) -> None:
        check_not_empty(stitches)
        check_share(share)
        self.anchors = [stitch for stitch in stitches if stitch.is_anchor]
        self.others = [stitch for stitch in stitches if not stitch.is_anchor]
        self.share = share if self.anchors and self.others else float(not self.others)

    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:  # noqa: ARG002
        """Choose between anchors and other stitches, then one of the kind."""
        wants_anchor = torch.rand((), generator=generator).item() < self.share
        return (pick(self.anchors if wants_anchor else self.others, generator),)

    def describe(self) -> dict[str, object]:
        """Return the name and the share."""
        return {**super().describe(), "share": self.share}


@SAMPLERS.register("single")
class SingleSampler(StitchSampler):
    """Always one stitch, to train a route alone.

    Args:
        stitches: The stitches of the network, usually a `StitchSpace`.
        stitch: Id of the one to train; the last anchor if None.

    Raises:
        SpaceError: If there is no such stitch.
    """

    def __init__(self, stitches: Sequence[Stitch], stitch: str | None = None) -> None:
        check_not_empty(stitches)
        known = {one.id: one for one in stitches}
        anchors = [one.id for one in stitches if one.is_anchor]
        if stitch is None and not anchors:
            raise SpaceError("The space has no anchor to train alone; name a stitch.")
        name = anchors[-1] if stitch is None else str(Stitch(stitch))
        if name not in known:
            raise SpaceError(
                f"There is no stitch {name!r} to train alone; accepted: an id such as {next(iter(known))!r}."
            )
        self.stitch = known[name]

    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:  # noqa: ARG002
        """Return the one stitch."""
        return (self.stitch,)

    def describe(self) -> dict[str, object]:
        """Return the name and the stitch."""
        return {**super().describe(), "stitch": self.stitch.id}
