# Tested in tests/searching/test_finding.py.
"""What training makes of a route."""

from collections.abc import Mapping

import numpy as np

from snnet.searching.candidates import Floats
from snnet.space import Stitch

LASTING = 0.6
"""Part of what cuts cause that training leaves."""
WORTH = 0.05
"""Part of what the worst anchor lacks by which a route must be better than what costs less to be worth training."""


def lacking(route: Stitch, whole: Mapping[int, float]) -> float:
    """Return how bad the anchors are whose blocks a route runs, in proportion to their blocks.

    Args:
        route: The route.
        whole: Anchor -> how bad it is.
    """
    counts = [(whole[part.anchor], part.stop - part.start) for part in route.segments]
    return sum(bad * count for bad, count in counts) / sum(count for _, count in counts)


def after_training(badness: Floats, lack: Floats) -> Floats:
    """Return how bad routes are expected to be once they are trained.

    What their blocks lack stays, and `LASTING` of what their cuts cause besides. So a few blocks of a large anchor are
    worth more than they seem before training.

    Args:
        badness: Of each route, before training.
        lack: What the blocks of each lack, see `lacking`.
    """
    return np.asarray(lack + LASTING * np.maximum(0.0, badness - lack))
