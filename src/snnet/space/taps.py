"""Where along a route feature maps are taken: at the same relative depths, or stages, whatever the route."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from snnet.errors import SpaceError
from snnet.space.matching import LayerSpec
from snnet.space.stitch import Cut, Stitch


@dataclass(frozen=True, slots=True)
class Tap:
    """One map that is taken along a route: number `number` in order of depth, after a block of an anchor."""

    number: int
    anchor: int
    block: int


def check_taps(depths: Sequence[Sequence[int]], taps: int) -> None:
    """Refuse a number of maps that the largest anchor does not have.

    Args:
        depths: Blocks per stage of each anchor.
        taps: How many maps.

    Raises:
        SpaceError: If there are fewer stages than that, or blocks where the anchor has one stage.
    """
    stages = depths[-1]
    most, what = (len(stages), "stages") if len(stages) > 1 else (stages[0], "blocks")
    if isinstance(taps, bool) or not isinstance(taps, int) or not 1 <= taps <= most:
        raise SpaceError(f"taps={taps!r} of an anchor with {most} {what}; give a number from 1 to {most}.")
    odd = next((number for number, each in enumerate(depths) if len(each) != len(stages)), None)
    if odd is not None:
        raise SpaceError(
            f"Maps are taken at stages, of which anchor {odd} has {len(depths[odd])} and the largest {len(stages)}; "
            "choose anchors with as many."
        )


def route_taps(route: Stitch, depths: Sequence[Sequence[int]], taps: int) -> tuple[tuple[int, Tap], ...]:
    """Return the maps that are taken along a route, in order, each with the place of its block among the route's.

    An anchor with several stages gives a map at the end of each of its last `taps` stages. One without gives maps after
    `1/taps`, `2/taps`, ... of its depth. On a route with cuts a map comes from the last block before the first that
    lies deeper in its own anchor, or else from the first block of the route.

    Args:
        route: The route.
        depths: Blocks per stage of each anchor.
        taps: How many maps.
    """
    stages = len(depths[-1])
    ends = [stages - taps + number + 1 if stages > 1 else (number + 1) / taps for number in range(taps)]
    blocks = [(segment.anchor, block) for segment in route.segments for block in range(segment.start, segment.stop)]
    reached = [_progress(depths[anchor], block) for anchor, block in blocks]
    found = []
    for number, end in enumerate(ends):
        beyond = next((place for place, depth in enumerate(reached) if depth > end + 1e-9), len(blocks))
        place = max(beyond - 1, 0)
        found.append((place, Tap(number, *blocks[place])))
    return tuple(found)


def possible_tap_layers(depths: Sequence[Sequence[int]], taps: int) -> list[LayerSpec]:
    """Return the layers that any route through the anchors may need for its maps."""
    stages = len(depths[-1])
    specs = []
    for number in range(taps):
        end = stages - taps + number + 1 if stages > 1 else (number + 1) / taps
        for anchor, each in enumerate(depths):
            places = range(sum(each))
            near = [block for block in places if end - 1 < _progress(each, block) <= end + 1e-9] or [0]
            specs += [spec for block in near if (spec := _layer(Tap(number, anchor, block), depths, taps))]
    return specs


def tap_layers(routes: Sequence[Stitch], depths: Sequence[Sequence[int]], taps: int) -> tuple[LayerSpec, ...]:
    """Return the layers that bring maps along some routes to those of the largest anchor, each once.

    A layer is one behind a block that no route may continue from: its cut leads to where the largest anchor has its
    own map, which may be after its last block.

    Args:
        routes: The routes.
        depths: Blocks per stage of each anchor.
        taps: How many maps.
    """
    every = dict.fromkeys(tap for route in routes for _, tap in route_taps(route, depths, taps))
    ordered = sorted(every, key=lambda tap: (tap.number, tap.anchor, tap.block))
    return tuple(spec for tap in ordered if (spec := _layer(tap, depths, taps)))


def _layer(tap: Tap, depths: Sequence[Sequence[int]], taps: int) -> LayerSpec | None:
    if (name := tap_layer(tap, depths, taps)) is None:
        return None
    back = len(depths) - 1
    cut = Cut(tap.anchor, tap.block, back, own_tap(depths, taps, tap.number) + 1)
    stage = bisect_right(list(accumulate(depths[tap.anchor])), tap.block)
    return LayerSpec(name, tap.anchor, back, stage, (cut,))


def tap_layer(tap: Tap, depths: Sequence[Sequence[int]], taps: int) -> str | None:
    """Return the name of the layer that a map goes through; None where it is the largest anchor's own."""
    largest = tap.anchor == len(depths) - 1
    own = largest and tap.block == own_tap(depths, taps, tap.number)
    return None if own else f"tap{tap.number}_{tap.anchor}_{tap.block}"


def own_tap(depths: Sequence[Sequence[int]], taps: int, number: int) -> int:
    """Return the block of the largest anchor after which it gives map `number`."""
    stages = depths[-1]
    if len(stages) > 1:
        return sum(stages[: len(stages) - taps + number + 1]) - 1
    return max(math.floor(stages[0] * (number + 1) / taps + 1e-9) - 1, 0)


def _progress(stages: Sequence[int], block: int) -> float:
    """Return how deep in its anchor the end of a block is, in stages."""
    ends = [*accumulate(stages)]
    stage = bisect_right(ends, block)
    return stage + (block + 1 - (ends[stage] - stages[stage])) / stages[stage]
