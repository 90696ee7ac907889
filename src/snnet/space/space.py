"""The ordered set of all stitches of a network."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, overload

from snnet.errors import SpaceError, did_you_mean
from snnet.space.matching import Direction, LayerSpec, cut_sequences, keep_cuts, match_blocks, segments_of
from snnet.space.routes import layers_along, whole_anchors
from snnet.space.settings import USUAL_SPACE, SpaceSettings, why_no_cut
from snnet.space.stitch import Cut, Stitch, as_number
from snnet.utils import counted, known_keywords

_log = logging.getLogger(__name__)


class StitchSpace(Sequence[Stitch]):
    """All stitches of a family, numbered from 0, anchors first.

    Build one with `StitchSpace.build`; filter with `where` or a slice. A filtered space keeps the ids, numbers its
    own stitches from 0, and has only the stitching layers that they use.

    Args:
        depths: Blocks per stage of each anchor, `[[12], [12], [12]]` or `[[2, 2, 6, 2], [2, 2, 18, 2]]`.
        stitches: The routes in order.
        layers: The stitching layers with the cuts that each serves.
    """

    def __init__(
        self, depths: Sequence[Sequence[int]], stitches: Iterable[Stitch], layers: Iterable[LayerSpec]
    ) -> None:
        self.depths = tuple(tuple(stages) for stages in depths)
        self.stitches = tuple(stitches)
        self.layers = tuple(layers)

    @classmethod
    @known_keywords(SpaceError)
    def build(
        cls,
        depths: Sequence[Sequence[int]],
        *,
        kernel_size: int = USUAL_SPACE.kernel_size,
        stride: int = USUAL_SPACE.stride,
        nearest: bool = USUAL_SPACE.nearest,
        direction: Direction = USUAL_SPACE.direction,
        stages: Sequence[int | Sequence[int]] | None = USUAL_SPACE.stages,
    ) -> "StitchSpace":
        """List all stitches of a family.

        Args:
            depths: Blocks per stage of each anchor, from the cheapest anchor to the largest.
            kernel_size: Blocks in a sliding window of paired stitching.
            stride: Blocks by which the window moves.
            nearest: Join only neighboring anchors; otherwise every subset of two or more.
            direction: `fast-to-slow`, `slow-to-fast`, or `both`.
            stages: Stages to stitch: a number that all anchors share, or the number in each anchor in their order,
                `[(1, 0), (2, 1)]` for two whose stages are shifted; by default all in which there is a cut.

        Raises:
            SpaceError: If a keyword is unknown or a setting out of range, or the settings leave no stitch, and why.
        """
        chosen = SpaceSettings(
            kernel_size=kernel_size, stride=stride, nearest=nearest, direction=direction, stages=stages
        )
        groups, chains, layers = match_blocks(depths, **dict(chosen))
        cuts: dict[tuple[int, int], list[tuple[int, Cut]]] = defaultdict(list)
        for layer in layers:
            cuts[layer.front, layer.back] += [(layer.stage, cut) for cut in layer.cuts]
        anchors = whole_anchors(depths)
        routes = [
            Stitch(segments_of(route, depths))
            for group in groups
            for chain in chains
            for route in cut_sequences(chain, cuts, group[chain[0]])
        ]
        if not routes:
            raise SpaceError(why_no_cut(depths, chosen))
        cut = {(layer.front, layer.stage) for layer in layers}
        if uncut := [group for group in groups if not cut.intersection(enumerate(group))]:
            _log.warning(
                "No cut in stages %s of depths %s, where none moves on to a later block; they are left out.",
                ", ".join(":".join(map(str, dict.fromkeys(group))) for group in uncut),
                [list(d) for d in depths],
            )
        return cls(depths, anchors + routes, layers)[:]

    @classmethod
    def through(cls, depths: Sequence[Sequence[int]], routes: Iterable[Stitch] = ()) -> "StitchSpace":
        """Return the space of all anchors and then any routes, in their order: cuts in either direction, and skips.

        Each cut has a stitching layer of its own, which routes share that begin alike up to there.

        Args:
            depths: Blocks per stage of each anchor.
            routes: Those besides the anchors.

        Raises:
            SpaceError: If a route leaves the anchors.
        """
        stitches = dict.fromkeys([*whole_anchors(depths), *routes])
        return cls(depths, stitches, layers_along(depths, stitches))

    def __len__(self) -> int:
        return len(self.stitches)

    def __iter__(self) -> Iterator[Stitch]:
        return iter(self.stitches)

    def __contains__(self, stitch: object) -> bool:
        number = as_number(stitch)
        if number is not None:
            return 0 <= number < len(self)
        return stitch in self._numbers or any(stitch == str(known) for known in self.stitches)

    @overload
    def __getitem__(self, key: int) -> Stitch: ...
    @overload
    def __getitem__(self, key: slice) -> "StitchSpace": ...
    def __getitem__(self, key: int | slice) -> "Stitch | StitchSpace":
        return self._subspace(self.stitches[key]) if isinstance(key, slice) else self.stitches[key]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StitchSpace):
            return NotImplemented
        return (self.depths, self.stitches, self.layers) == (other.depths, other.stitches, other.layers)

    def __hash__(self) -> int:
        return hash((self.depths, self.stitches, self.layers))

    def __repr__(self) -> str:
        return f"StitchSpace({self.counts})"

    @property
    def counts(self) -> str:
        """How many stitches, anchors and stitching layers there are, in words."""
        several = {"stitch": self.stitches, "anchor": self.depths, "stitching layer": self.layers}
        stitches, anchors, layers = (counted(len(values), name) for name, values in several.items())
        return f"{stitches} of {anchors}, {layers}"

    def find(self, stitch: int | str | Stitch) -> Stitch:
        """Return the stitch of a number, an id, or a value.

        Raises:
            SpaceError: If the space does not hold it.
        """
        return self.stitches[self.index(stitch)]

    def index(self, stitch: int | str | Stitch, start: int = 0, stop: int | None = None) -> int:
        """Return the number of a stitch given as a number, an id, or a value.

        Args:
            stitch: Stitch to look for.
            start: First number to look at.
            stop: Number to stop before.

        Raises:
            SpaceError: If the space does not hold it.
        """
        number = as_number(stitch)
        if number is None:
            number = self._numbers.get(stitch if isinstance(stitch, Stitch) else Stitch(str(stitch)), -1)
        if not start <= number < min(len(self), len(self) if stop is None else stop):
            plain, _, precision = str(stitch).partition("@")
            hint = did_you_mean(plain, map(str, self.stitches))
            if precision:
                hint = f" A network runs in one precision; a Runtime with a table of {precision} has such stitches."
            raise SpaceError(
                f"No stitch {str(stitch)!r} in this space; accepted: 0 to {len(self) - 1} or an id such as "
                f"{str(self.stitches[-1])!r}.{hint}"
            )
        return number

    def layer_of(self, cut: Cut, after: str | None = None) -> LayerSpec:
        """Return the stitching layer that serves a cut.

        Args:
            cut: The cut.
            after: The beginning of the route before it, which some layers serve alone.

        Raises:
            SpaceError: If no stitch of the space makes this cut there.
        """
        found = self._layer_of.get((cut, after)) or self._layer_of.get((cut, None))
        if found is None:
            raise SpaceError(f"No stitch of this space makes the cut {cut}{f' after {after}' if after else ''}.")
        return found

    def where(
        self,
        keep: Callable[[Stitch], bool] | None = None,
        *,
        anchors: Iterable[int] | None = None,
        max_segments: int | None = None,
    ) -> "StitchSpace":
        """Return the stitches that pass every given filter.

        Args:
            keep: Any predicate over stitches.
            anchors: Only routes whose anchors all are among these.
            max_segments: Only routes of at most this many segments (1 leaves the anchors alone).
        """
        allowed = None if anchors is None else set(anchors)
        return self._subspace(
            stitch
            for stitch in self.stitches
            if (keep is None or keep(stitch))
            and (allowed is None or allowed.issuperset(stitch.anchors))
            and (max_segments is None or len(stitch.segments) <= max_segments)
        )

    def to_config(self) -> dict[str, Any]:
        """Return plain data (JSON) that `from_config` turns into an equal space."""
        return {
            "depths": [list(stages) for stages in self.depths],
            "stitches": [str(stitch) for stitch in self.stitches],
            "layers": [layer.to_config() for layer in self.layers],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "StitchSpace":
        """Rebuild a space from `to_config`'s data."""
        return cls(config["depths"], map(Stitch, config["stitches"]), map(LayerSpec.from_config, config["layers"]))

    @cached_property
    def _numbers(self) -> dict[Stitch, int]:
        return {stitch: number for number, stitch in enumerate(self.stitches)}

    @cached_property
    def _layer_of(self) -> dict[tuple[Cut, str | None], LayerSpec]:
        return {(cut, layer.after): layer for layer in self.layers for cut in layer.cuts}

    def _subspace(self, stitches: Iterable[Stitch]) -> "StitchSpace":
        kept = tuple(stitches)
        hops = {hop for stitch in kept for hop in zip(stitch.cuts, stitch.beginnings, strict=True)}
        return StitchSpace(
            self.depths, kept, keep_cuts(self.layers, {(self.layer_of(*hop).name, hop[0]) for hop in hops})
        )
