"""What comes with an image: its label, or for each pixel the number of a class or how far it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from snnet.utils import Settings

TargetKind: TypeAlias = Literal["label", "mask", "depth"]

IGNORED = 255
"""Number of the class of pixels in masks that count for nothing."""
UNKNOWN = 0.0
"""What stands in depth maps where it is not known how far a pixel is."""


class TargetSettings(Settings):
    """What is to be told of an image; the name of its kind alone stands for all of it."""

    kind: TargetKind = Field("label", description="label, mask (a class for each pixel) or depth")
    suffix: str = Field("", description="what names of masks or depth maps have beyond those of their images: _mask")
    image_suffix: str = Field("", description="what names of images have beyond those of their masks")
    offset: int = Field(0, description="added to numbers in masks, and what is below 0 then is ignored: -1 for ADE20K")
    ignored: tuple[int, ...] = Field((IGNORED,), description="numbers in masks of pixels that count for nothing")
    palette: Path | None = Field(None, description="file of class names and colors; palette.txt or .json of the data")
    classes: Path | None = Field(None, description="file of class names, one a line; classes.txt of the data")
    scale: float = Field(1.0, gt=0, description="what depth in files is multiplied with: 0.001 from millimetres")
    image_column: str | None = Field(None, description="column of the images of a Hugging Face data set")
    column: str | None = Field(None, description="column of the masks or depth maps of a Hugging Face data set")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value


def target_kind(targets: Tensor) -> TargetKind:
    """Return what the targets of several images are: labels `(N,)`, masks or depth maps `(N, H, W)`."""
    if targets.ndim == 1:
        return "label"
    return "depth" if targets.is_floating_point() else "mask"


def unseen(targets: Tensor) -> float:
    """Return what stands for pixels of dense targets of which nothing is known."""
    return UNKNOWN if targets.is_floating_point() else IGNORED


def is_dense(targets: Any) -> bool:
    """Return whether targets say something of each pixel: `(H, W)`, or of several images `(B, H, W)`."""
    return isinstance(targets, Tensor) and targets.ndim > 1


def stacked(targets: Sequence[Any]) -> Tensor:
    """Return the targets of single images as those of a batch, `(B,)` of whole numbers or others, or `(B, ...)`."""
    first = targets[0]
    if isinstance(first, Tensor) and first.ndim:
        return torch.stack(list(targets))
    whole = not (first.is_floating_point() if isinstance(first, Tensor) else isinstance(first, float | np.floating))
    return torch.tensor(list(map(int if whole else float, targets)))
