"""The same stitch at every step."""

from collections.abc import Sequence

import torch

from snnet.errors import SpaceError
from snnet.space import Stitch
from snnet.training.samplers.base import SAMPLERS, StitchSampler, check_not_empty


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
