# Tested in tests/space/test_space.py.
"""Which stitches a family has, as settings."""

from typing import ClassVar

from pydantic import Field

from snnet.errors import SNNetError, SpaceError
from snnet.space.matching import Direction
from snnet.utils import Settings


class SpaceSettings(Settings):
    """Which stitches a family has: the keywords of `StitchSpace.build` and `snnet.stitch`."""

    refused_with: ClassVar[type[SNNetError]] = SpaceError

    kernel_size: int = Field(2, ge=1, description="blocks in a sliding window")
    stride: int = Field(1, ge=1, description="blocks by which the window moves")
    nearest: bool = Field(True, description="join only neighboring anchors")
    direction: Direction = Field("fast-to-slow", description="fast-to-slow, slow-to-fast or both")
    stages: tuple[int, ...] | None = Field(None, description="stages to stitch; all by default")


USUAL_SPACE = SpaceSettings()
"""The defaults."""
