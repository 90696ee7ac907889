"""Which stitches a network has, in which order, and which stitching layer serves each cut."""

from snnet.space.matching import Direction, LayerSpec, segments_of
from snnet.space.routes import check_route
from snnet.space.settings import USUAL_SPACE, SpaceSettings
from snnet.space.space import StitchSpace
from snnet.space.specs import Activation, FeatureSpec, InputSpec, Layout, MapSpec, OutputSpec, map_specs
from snnet.space.steps import Step, route_prefixes, route_steps, uncut_anchor
from snnet.space.stitch import Cut, Segment, Stitch, as_number, is_precision, join_ids
from snnet.space.taps import Tap, check_taps, own_tap, possible_tap_layers, route_taps, tap_layer, tap_layers

__all__ = [
    "USUAL_SPACE",
    "Activation",
    "Cut",
    "Direction",
    "FeatureSpec",
    "InputSpec",
    "LayerSpec",
    "Layout",
    "MapSpec",
    "OutputSpec",
    "Segment",
    "SpaceSettings",
    "Step",
    "Stitch",
    "StitchSpace",
    "Tap",
    "as_number",
    "check_route",
    "check_taps",
    "is_precision",
    "join_ids",
    "map_specs",
    "own_tap",
    "possible_tap_layers",
    "route_prefixes",
    "route_steps",
    "route_taps",
    "segments_of",
    "tap_layer",
    "tap_layers",
    "uncut_anchor",
]
