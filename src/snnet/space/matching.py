"""Which anchors follow one another along a route, and which of their blocks are joined within one stage.

Block numbers here count from the start of the stage. Both matchings are those of the paper, section 3.2.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby, pairwise
from typing import Any, Literal

from snnet.errors import SpaceError
from snnet.space.stitch import Cut, Segment

Direction = Literal["fast-to-slow", "slow-to-fast", "both"]
"""Whether routes go from smaller to larger anchors, the other way, or both."""


CutTable = Mapping[tuple[int, int], Sequence[tuple[int, Cut]]]
"""(front, back) -> all cuts between the two with their stage, stage by stage."""

StageGroup = tuple[int, ...]
"""A stage that is stitched: its number in each anchor."""


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One stitching layer and the cuts that it serves.

    Attributes:
        name: Unique in its space and a valid module name, `stage0_0to1_3`.
        front: Anchor whose features the layer takes.
        back: Anchor whose features the layer gives.
        stage: Stage of the front anchor in which the cuts lie.
        cuts: All cuts that share the layer, in the order of the space.
        after: The beginning of routes that the layer serves, as in `Stitch.beginnings`; None if it serves its cuts
            behind any.
    """

    name: str
    front: int
    back: int
    stage: int
    cuts: tuple[Cut, ...]
    after: str | None = None

    def to_config(self) -> dict[str, Any]:
        """Return plain data (JSON) that `from_config` turns into an equal value."""
        behind = {} if self.after is None else {"after": self.after}
        return {"name": self.name, "stage": self.stage, "cuts": [str(cut) for cut in self.cuts], **behind}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "LayerSpec":
        """Rebuild a value from `to_config`'s data."""
        cuts = tuple(map(Cut.parse, config["cuts"]))
        return cls(config["name"], cuts[0].front, cuts[0].back, config["stage"], cuts, config.get("after"))


def anchor_chains(count: int, *, nearest: bool, direction: Direction) -> list[tuple[int, ...]]:
    """Return every sequence of anchors that a stitched route may take, in the order of the space.

    Nearest stitching keeps to pairs of neighbors; without it every subset of two or more anchors is taken in
    ascending order, by size and then by anchor. `slow-to-fast` reverses each; `both` takes the two directions
    and, for each pair, the returns small-large-small and large-small-large (SN-Netv2, arXiv 2307.00154).

    Raises:
        SpaceError: If there are fewer than two anchors.
    """
    if count < 2:
        raise SpaceError(
            f"Windows of cuts need at least two anchors, and there is {count}; add a second model, or search among the "
            "skips of one: space='search' (snnet search MODEL)."
        )
    if nearest:
        subsets: list[tuple[int, ...]] = [(first, first + 1) for first in range(count - 1)]
    else:
        subsets = [subset for size in range(2, count + 1) for subset in combinations(range(count), size)]
    if direction == "fast-to-slow":
        return subsets
    if direction == "slow-to-fast":
        return [subset[::-1] for subset in subsets]
    chains = []
    for subset in subsets:
        chains += [subset, subset[::-1]]
        if len(subset) == 2:
            small, large = subset
            chains += [(small, large, small), (large, small, large)]
    return chains


def stage_groups(depths: Sequence[Sequence[int]], stages: Sequence[int | Sequence[int]] | None) -> list[StageGroup]:
    """Return the stages to stitch, each as its number in each anchor, in order.

    Args:
        depths: Blocks per stage of each anchor.
        stages: Which ones; None for all, which must then be equally many in all anchors.

    Raises:
        SpaceError: If there are no such stages, or they are not in the same order in all anchors.
    """
    if any(blocks < 1 for d in depths for blocks in d):
        raise SpaceError(f"Every stage needs at least one block; depths are {[list(d) for d in depths]}.")
    if len({len(d) for d in depths}) > 1 and (stages is None or any(isinstance(stage, int) for stage in stages)):
        counts = " and ".join(map(str, sorted({len(d) for d in depths})))
        raise SpaceError(
            f"Anchors have {counts} stages; say which are one, by their number in each: stages=[(1, 0), (2, 1)] "
            "(--stages 1:0 2:1)."
        )
    if stages is None:
        return [(stage,) * len(depths) for stage in range(len(depths[0]) if depths else 0)]
    whole = [(stage,) * len(depths) if isinstance(stage, int) else tuple(stage) for stage in stages]
    groups = sorted(set(whole))
    fits = all(len(group) == len(depths) and all(map(_is_stage, depths, group)) for group in groups)
    if not fits or not groups:
        raise SpaceError(
            f"stages {list(stages)} are not among the anchors' stages, which are 0 to "
            f"{' and 0 to '.join(str(len(d) - 1) for d in dict.fromkeys(map(tuple, depths)))}."
        )
    if any(one >= next_ for before, after in pairwise(groups) for one, next_ in zip(before, after, strict=True)):
        raise SpaceError(f"stages {list(stages)} cross; each must come after the one before it in every anchor.")
    return groups


def _is_stage(stages: Sequence[int], number: int) -> bool:
    return 0 <= number < len(stages)


def paired_windows(depth: int, kernel_size: int, stride: int) -> list[list[tuple[int, int]]]:
    """Return for each window of `kernel_size` blocks the (leave, enter) pairs that it is the first to hold.

    A window that is wider than the stage shrinks to it.
    """
    kernel_size = min(kernel_size, depth)
    listed: set[tuple[int, int]] = set()
    windows = []
    for start in range(0, depth - kernel_size + 1, stride):
        blocks = range(start, start + kernel_size)
        window = [(leave, enter) for leave in blocks for enter in blocks if (leave, enter) not in listed]
        listed.update(window)
        windows.append(window)
    return windows


def unpaired_groups(front_depth: int, back_depth: int) -> list[list[tuple[int, int]]]:
    """Match every block of the deeper stage with its nearest in the shallower; group by the block left."""
    deeper = max(front_depth, back_depth)
    pairs = [(k * front_depth // deeper, k * back_depth // deeper) for k in range(deeper)]
    return [list(group) for _, group in groupby(pairs, key=lambda pair: pair[0])]


def stage_layers(
    front: int, back: int, stages: StageGroup, depths: Sequence[Sequence[int]], *, kernel_size: int, stride: int
) -> list[LayerSpec]:
    """Return the stitching layers between two anchors within one stage of each, in order.

    Where the stage has the same depth in both anchors they are paired, else unpaired. In families with several
    stages, and for any unpaired stage, only cuts that move on (leave < enter) are kept.

    Args:
        front: Anchor that routes leave.
        back: Anchor that they enter.
        stages: Number of the stage in each anchor.
        depths: Blocks per stage of each anchor.
        kernel_size: Blocks in a sliding window.
        stride: Blocks by which it moves.
    """
    before, after = stages[front], stages[back]
    front_depth, back_depth = depths[front][before], depths[back][after]
    paired = front_depth == back_depth
    groups = paired_windows(front_depth, kernel_size, stride) if paired else unpaired_groups(front_depth, back_depth)
    forward_only = not paired or len(depths[front]) > 1 or len(depths[back]) > 1
    front_offset, back_offset = sum(depths[front][:before]), sum(depths[back][:after])
    layers = []
    for number, pairs in enumerate(groups):
        cuts = tuple(
            Cut(front, front_offset + leave, back, back_offset + enter)
            for leave, enter in pairs
            if leave < enter or not forward_only
        )
        if cuts:
            layers.append(LayerSpec(f"stage{before}_{front}to{back}_{number}", front, back, before, cuts))
    return layers


def match_blocks(
    depths: Sequence[Sequence[int]],
    *,
    kernel_size: int,
    stride: int,
    nearest: bool,
    direction: Direction,
    stages: Sequence[int | Sequence[int]] | None,
) -> tuple[list[StageGroup], list[tuple[int, ...]], list[LayerSpec]]:
    """Return the stages to stitch, the sequences of anchors, and the stitching layers; see `StitchSpace.build`."""
    groups = stage_groups(depths, stages)
    chains = anchor_chains(len(depths), nearest=nearest, direction=direction)
    hops = dict.fromkeys(hop for chain in chains for hop in pairwise(chain))
    layers = [
        layer
        for group in groups
        for front, back in hops
        for layer in stage_layers(front, back, group, depths, kernel_size=kernel_size, stride=stride)
    ]
    return groups, chains, layers


def keep_cuts(layers: Iterable[LayerSpec], used: Collection[tuple[str, Cut]]) -> tuple[LayerSpec, ...]:
    """Return the layers with only the cuts in `used`, each with the layer's name, without those that serve none."""
    kept = (replace(layer, cuts=tuple(cut for cut in layer.cuts if (layer.name, cut) in used)) for layer in layers)
    return tuple(layer for layer in kept if layer.cuts)


def cut_sequences(chain: Sequence[int], cuts: CutTable, stage: int) -> list[tuple[Cut, ...]]:
    """Return all ways to hop along `chain`, the first cut lying in `stage`, in lexicographic order."""
    routes: list[tuple[Cut, ...]] = [(cut,) for cut_stage, cut in cuts[chain[0], chain[1]] if cut_stage == stage]
    for hop in pairwise(chain[1:]):
        routes = [(*route, cut) for route in routes for _, cut in cuts[hop] if cut.leave >= route[-1].enter]
    return routes


def segments_of(route: Sequence[Cut], depths: Sequence[Sequence[int]]) -> tuple[Segment, ...]:
    """Return the segments of a route that is given by its cuts."""
    starts = [0, *(cut.enter for cut in route)]
    stops = [*(cut.leave + 1 for cut in route), sum(depths[route[-1].back])]
    anchors = [route[0].front, *(cut.back for cut in route)]
    return tuple(map(Segment, anchors, starts, stops))
