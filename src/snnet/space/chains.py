# Tested in tests/space/test_space.py.
"""In which orders anchors may follow one another along a route."""

from itertools import combinations
from typing import Literal

from snnet.errors import SpaceError

Direction = Literal["fast-to-slow", "slow-to-fast", "both"]
"""Whether routes go from smaller to larger anchors, the other way, or both."""


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
