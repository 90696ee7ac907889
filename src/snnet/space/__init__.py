"""Which stitches a network has, in which order, and which stitching layer serves each cut."""

from snnet.space.chains import Direction
from snnet.space.matching import LayerSpec
from snnet.space.space import StitchSpace

__all__ = ["Direction", "LayerSpec", "StitchSpace"]
