"""What a route runs, one step after another, and the names of its beginnings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from snnet.space.stitch import Cut, Stitch


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a route runs; equal steps after equal steps give equal output, whatever the stitch.

    Attributes:
        kind: `stem`, `block`, `stitch` (a stitching layer), `head`, or `head without norm`; `tap`, which puts a map of
            the features aside and leaves them as they are, and `decode`, a head over all maps that were put aside.
        anchor: The anchor that is run, that the stitching layer leads into, or whose features are put aside.
        index: Number of the block, or of the map; 0 for the other kinds.
        layer: Name of the stitching layer, or of the layer that a map goes through, if any.
    """

    kind: Literal["stem", "block", "stitch", "head", "head without norm", "tap", "decode"]
    anchor: int
    index: int = 0
    layer: str = ""


def route_steps(
    route: Stitch,
    layer_at: Callable[[Cut, str], str],
    *,
    final_norm: bool = True,
    maps: Sequence[tuple[int, Step]] = (),
) -> tuple[Step, ...]:
    """Unfold a route into its steps.

    Args:
        route: The stitch.
        layer_at: Gives the name of the stitching layer at a cut, and behind a beginning of the route.
        final_norm: Whether a route through several anchors ends with the last one's final norm.
        maps: Steps that put maps aside, each with the place of the block before it among those of the route, which
            then ends with a head over the maps, in place of its last anchor's.
    """
    first, last, place = route.segments[0], route.segments[-1], 0
    steps = [Step("stem", first.anchor)]
    layers = [layer_at(cut, after) for cut, after in zip(route.cuts, route.beginnings, strict=True)]
    for layer, segment in zip(("", *layers), route.segments, strict=True):
        if layer:
            steps.append(Step("stitch", segment.anchor, layer=layer))
        for index in range(segment.start, segment.stop):
            steps.append(Step("block", segment.anchor, index))
            steps += [tap for at, tap in maps if at == place]
            place += 1
    if maps:
        return (*steps, Step("decode", 0))
    return (*steps, Step("head" if final_norm or route.is_anchor else "head without norm", last.anchor))


def route_prefixes(steps: Sequence[Step]) -> tuple[str, ...]:
    """Return a readable name for the beginning of a route up to each of its steps.

    Two routes of one space begin with the same steps just where they have the same name. The names continue those
    of stitches: `0:stem`, `0:0-1`, `0:0-2`, `0:0-2,stage0_0to1_0` after the stitching layer, `0:0-2,1:3-4`, and
    `0:0-2,1:3-4,head` at the end.
    """
    names: list[str] = []
    closed, way, start = "", "", 0
    for step in steps:
        if step.kind == "block":
            start = start if way else step.index
            way = f"{closed}{step.anchor}:{start}-{step.index + 1}"
            names.append(way)
        elif step.kind == "stem":
            names.append(f"{step.anchor}:stem")
        elif step.kind == "stitch":
            names.append(f"{way},{step.layer}")
            closed, way = f"{way},", ""
        elif step.kind in ("tap", "decode"):
            names.append(f"{way},{step.kind}{step.index if step.kind == 'tap' else ''}")
        else:
            # A name that statistics are saved under.
            names.append(f"{way},{'head' if step.kind == 'head' else 'bare-head'}")
    return tuple(names)


def uncut_anchor(prefix: str) -> int | None:
    """Return the anchor that the beginning of a route with this name is of; None if a cut is in it."""
    anchor, _, way = prefix.partition(":")
    return int(anchor) if way.partition(",")[2] in ("", "head") else None
