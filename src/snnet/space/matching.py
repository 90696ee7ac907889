"""Which anchors follow one another along a route, and which of their blocks are joined within one stage.

Block numbers here count from the start of the stage. Both matchings are those of the paper, section 3.2.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby
from typing import Literal

from snnet.errors import SpaceError
from snnet.space.stitch import Cut

Direction = Literal["fast-to-slow", "slow-to-fast", "both"]
"""Whether routes go from smaller to larger anchors, the other way, or both."""


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One stitching layer and the cuts that it serves.

    Attributes:
        name: Unique in its space and a valid module name, `stage0_0to1_3`.
        front: Anchor whose features the layer takes.
        back: Anchor whose features the layer gives.
        stage: Stage in which the cuts lie.
        cuts: All cuts that share the layer, in the order of the space.
    """

    name: str
    front: int
    back: int
    stage: int
    cuts: tuple[Cut, ...]


def anchor_chains(count: int, *, nearest: bool, direction: Direction) -> list[tuple[int, ...]]:
    """Return every sequence of anchors that a stitched route may take, in the order of the space.

    Nearest stitching keeps to pairs of neighbors; without it every subset of two or more anchors is taken in
    ascending order, by size and then by anchor. `slow-to-fast` reverses each; `both` takes the two directions
    and, for each pair, the returns small-large-small and large-small-large (SN-Netv2, arXiv 2307.00154).

    Raises:
        SpaceError: If there are fewer than two anchors.
    """
    if count < 2:
        raise SpaceError(f"Stitching needs at least two anchors, and there is {count}; add a second model.")
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


def paired_windows(depth: int, kernel_size: int, stride: int) -> list[list[tuple[int, int]]]:
    """Return for each window of `kernel_size` blocks the (leave, enter) pairs that it is the first to hold.

    Raises:
        SpaceError: If the window is larger than the stage.
    """
    if kernel_size > depth:
        raise SpaceError(
            f"kernel_size {kernel_size} is larger than a stage of {depth} blocks; use 1 to {depth}, "
            "or leave that stage out with `stages`."
        )
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
    front: int, back: int, stage: int, depths: Sequence[Sequence[int]], *, kernel_size: int, stride: int
) -> list[LayerSpec]:
    """Return the stitching layers between two anchors within one stage, in order.

    Where the stage has the same depth in both anchors they are paired, else unpaired. In families with several
    stages, and for any unpaired stage, only cuts that move on (leave < enter) are kept.
    """
    front_depth, back_depth = depths[front][stage], depths[back][stage]
    paired = front_depth == back_depth
    groups = paired_windows(front_depth, kernel_size, stride) if paired else unpaired_groups(front_depth, back_depth)
    forward_only = not paired or len(depths[front]) > 1
    front_offset, back_offset = sum(depths[front][:stage]), sum(depths[back][:stage])
    layers = []
    for number, pairs in enumerate(groups):
        cuts = tuple(
            Cut(front, front_offset + leave, back, back_offset + enter)
            for leave, enter in pairs
            if leave < enter or not forward_only
        )
        if cuts:
            layers.append(LayerSpec(f"stage{stage}_{front}to{back}_{number}", front, back, stage, cuts))
    return layers


def keep_cuts(layers: Iterable[LayerSpec], used: set[Cut]) -> tuple[LayerSpec, ...]:
    """Return the layers with only the cuts in `used`, without those that serve none."""
    kept = (replace(layer, cuts=tuple(cut for cut in layer.cuts if cut in used)) for layer in layers)
    return tuple(layer for layer in kept if layer.cuts)
