# Tested in tests/utils/test_settings.py.
"""How a family becomes a network, as settings."""

from pydantic import Field

from snnet.space import SpaceSettings


class FamilySettings(SpaceSettings):
    """How anchors are built and joined, and which stitches they have: what `snnet.stitch` and `set_lora_rank` take."""

    image_size: int | None = Field(
        None, ge=1, description="pixels a side of square images to build the anchors for; by default each for its own"
    )
    resample: bool = Field(False, description="join grids of features that differ by a whole factor, too")
    lora_rank: int | None = Field(
        None, ge=1, description="rank of the part of a stitching layer that is trained; null trains all of it"
    )
