"""Routes as points: stitches that are near each other have scores that are near each other."""

from collections.abc import Sequence

import numpy as np

from snnet.evaluation.gaussian import Array
from snnet.space import Stitch

# A block repeated or left out at a cut matters more than where the cut is.
_SKIP = 3.0


def route_features(routes: Sequence[Stitch], depths: Sequence[int]) -> Array:
    """Return `(len(routes), d)`: features in which stitches differ, each about one wide.

    They are where the cuts lie in their anchors, how many blocks (as a part of the anchor's) are run twice or left
    out at them, how many cuts there are, which anchor comes first, and how far the last lies from it. MACs are a
    function of these.

    Args:
        routes: The stitches.
        depths: Blocks of each anchor.
    """
    points = np.array([_features(route, depths) for route in routes], dtype=np.float64)
    # Anchors have no cut, and are known anyway.
    stitched = np.array([not route.is_anchor for route in routes])
    varying: Array = points[:, points[stitched].std(axis=0) > 0] if stitched.any() else points[:, :0]
    return varying if varying.shape[1] else np.zeros((len(routes), 1))


def _features(route: Stitch, depths: Sequence[int]) -> list[float]:
    leaves = [(cut.leave + 1) / depths[cut.front] for cut in route.cuts]
    enters = [cut.enter / depths[cut.back] for cut in route.cuts]
    place = sum(leaves) / len(leaves) if leaves else 0.0
    first, last = route.anchors[0], route.anchors[-1]
    return [place, _SKIP * (sum(leaves) - sum(enters)), len(route.cuts), first, last - first]
