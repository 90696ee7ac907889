# Tested in tests/space/test_space.py.
"""Which stitches a family has, as settings."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator

from snnet.errors import SNNetError, SpaceError
from snnet.space.matching import Direction, match_blocks
from snnet.utils import Settings


class SpaceSettings(Settings):
    """Which stitches a family has: the keywords of `StitchSpace.build` and `snnet.stitch`."""

    refused_with: ClassVar[type[SNNetError]] = SpaceError

    kernel_size: int = Field(2, ge=1, description="blocks in a sliding window")
    stride: int = Field(1, ge=1, description="blocks by which the window moves")
    nearest: bool = Field(True, description="join only neighboring anchors")
    direction: Direction = Field("fast-to-slow", description="fast-to-slow, slow-to-fast or both")
    stages: tuple[int | tuple[int, ...], ...] | None = Field(
        None, description="stages to stitch, as 1 or as 1:0, its number in each anchor; by default all that can be"
    )

    @field_validator("stages", mode="before")
    @classmethod
    def _groups_as_text(cls, value: Any) -> Any:
        """Accept `1:0` for a stage that has other numbers in other anchors."""
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, Iterable):
            return value
        return [part.split(":") if isinstance(part, str) and ":" in part else part for part in value]


USUAL_SPACE = SpaceSettings()
"""The defaults."""


def why_no_cut(depths: Sequence[Sequence[int]], settings: SpaceSettings) -> str:
    """Return that there is no cut, why, and a setting under which there is one."""
    where = "" if settings.stages is None else f" in stages {list(settings.stages)}"
    why = (
        f"Anchors of depths {[list(d) for d in depths]} have no {settings.direction} cut{where}: in families with "
        "several stages, or of unequal depth, a cut must move on (leave < enter)"
    )
    others: dict[str, dict[str, Any]] = {
        "with kernel_size=2 (--kernel-size 2)": {"kernel_size": 2},
        "with direction='slow-to-fast' (--direction slow-to-fast)": {"direction": "slow-to-fast"},
        "with direction='fast-to-slow' (--direction fast-to-slow)": {"direction": "fast-to-slow"},
        "in other stages; leave stages out": {"stages": None},
    }
    for way, change in others.items():
        changed = settings.model_copy(update=change)
        if changed != settings and match_blocks(depths, **dict(changed))[2]:
            return f"{why}. There is one {way}."
    return f"{why}, and no setting gives one; choose anchors with more blocks in a stage."
