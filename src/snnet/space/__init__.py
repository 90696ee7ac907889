"""Which stitches a network has, in which order, and which stitching layer serves each cut."""

from snnet.space.matching import Direction, LayerSpec, segments_of
from snnet.space.routes import check_route
from snnet.space.settings import USUAL_SPACE, SpaceSettings
from snnet.space.space import StitchSpace
from snnet.space.specs import FeatureSpec, InputSpec, Layout, MapSpec, map_specs
from snnet.space.steps import Step, route_prefixes, route_steps, uncut_anchor
from snnet.space.stitch import Cut, Segment, Stitch, as_number, is_precision, join_ids

__all__ = [
    "USUAL_SPACE",
    "Cut",
    "Direction",
    "FeatureSpec",
    "InputSpec",
    "LayerSpec",
    "Layout",
    "MapSpec",
    "Segment",
    "SpaceSettings",
    "Step",
    "Stitch",
    "StitchSpace",
    "as_number",
    "check_route",
    "is_precision",
    "join_ids",
    "map_specs",
    "route_prefixes",
    "route_steps",
    "segments_of",
    "uncut_anchor",
]
