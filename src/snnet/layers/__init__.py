"""The layers that join anchors."""

from snnet.layers.positions import check_positions, fit_positions, from_positions, same_positions, to_positions
from snnet.layers.stitching import StitchingLayer

__all__ = [
    "StitchingLayer",
    "check_positions",
    "fit_positions",
    "from_positions",
    "same_positions",
    "to_positions",
]
