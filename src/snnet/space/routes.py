"""Any routes through a family, and a stitching layer for each of their cuts."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from snnet.errors import SpaceError
from snnet.space.matching import LayerSpec
from snnet.space.stitch import Segment, Stitch


def whole_anchors(depths: Sequence[Sequence[int]]) -> list[Stitch]:
    """Return the stitches that are an anchor alone, in order."""
    return [Stitch((Segment(anchor, 0, sum(stages)),)) for anchor, stages in enumerate(depths)]


def check_route(route: Stitch, depths: Sequence[Sequence[int]]) -> None:
    """Refuse a route that leaves the anchors, or ends before its last one does (SpaceError)."""
    blocks = [sum(stages) for stages in depths]
    for segment in route.segments:
        if segment.anchor >= len(blocks) or segment.stop > blocks[segment.anchor]:
            raise SpaceError(f"Stitch {route} leaves the anchors, which have {blocks} blocks.")
    last = route.segments[-1]
    if last.stop != blocks[last.anchor]:
        raise SpaceError(f"Stitch {route} ends before its last anchor does, after block {blocks[last.anchor] - 1}.")


def layers_along(depths: Sequence[Sequence[int]], routes: Iterable[Stitch]) -> tuple[LayerSpec, ...]:
    """Return a stitching layer for each cut behind each beginning of the routes.

    The layer of a first cut serves it behind any beginning that has no layer of its own, for it is fitted to what the
    anchor alone gives. The name says what leads into the layer and where it leads: `at_2_0_7_1_10` of `2:0-7,1:10-12`.
    """
    layers: dict[str, LayerSpec] = {}
    for route in routes:
        check_route(route, depths)
        for number, (cut, after) in enumerate(zip(route.cuts, route.beginnings, strict=True)):
            name = "at_" + re.sub(r"\W", "_", f"{after},{cut.back}:{cut.enter}")
            stage = bisect_right(list(accumulate(depths[cut.front])), cut.leave)
            layers[name] = LayerSpec(name, cut.front, cut.back, stage, (cut,), after if number else None)
    return tuple(layers.values())
