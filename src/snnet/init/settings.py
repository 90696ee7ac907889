# Tested in tests/recipes/test_recipe.py.
"""How stitching layers are initialized and running statistics measured, as settings."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from snnet.errors import SNNetError, SpaceError
from snnet.utils import Settings

Method = Literal["least-squares", "kaiming"]
"""How stitching layers are initialized; kaiming is random, for comparison."""


class CalibrationSettings(Settings):
    """How the stitching layers are initialized."""

    refused_with: ClassVar[type[SNNetError]] = SpaceError

    images: int = Field(100, ge=1, description="training images to fit on")
    method: Method = Field("least-squares", description="least-squares or kaiming")
    ridge: float = Field(0.0, ge=0, description="weight decay of the fit, relative to a channel's variance")


class RecalibrationSettings(Settings):
    """How running statistics of batch norms are measured for each stitch, before it is evaluated."""

    images: int = Field(
        512, ge=0, description="clean training images, where there is batch norm; 0 leaves the anchors'"
    )
    batch_size: int = Field(64, ge=2, description="images that are normalized together")

    @field_validator("images")
    @classmethod
    def _more_than_one(cls, images: int) -> int:
        if images == 1:
            raise ValueError("one image has no variance; give 0 or a few hundred")
        return images


CALIBRATION, RECALIBRATION = CalibrationSettings(), RecalibrationSettings()
"""The defaults."""
