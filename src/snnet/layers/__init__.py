"""The layers that join anchors."""

from snnet.layers.lora import LowRankLinear, check_rank
from snnet.layers.positions import (
    MapOf,
    check_positions,
    fit_positions,
    from_positions,
    map_of,
    same_positions,
    to_positions,
)
from snnet.layers.stitching import StitchingLayer, set_lora_rank

__all__ = [
    "LowRankLinear",
    "MapOf",
    "StitchingLayer",
    "check_positions",
    "check_rank",
    "fit_positions",
    "from_positions",
    "map_of",
    "same_positions",
    "set_lora_rank",
    "to_positions",
]
