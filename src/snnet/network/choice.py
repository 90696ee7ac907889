"""Which stitches of a network a call is about, as people name them."""

import re
from collections.abc import Iterable
from typing import TypeAlias

from snnet.errors import SpaceError
from snnet.network.network import SNNet
from snnet.network.routing import StitchLike
from snnet.space import Stitch
from snnet.table import pareto_frontier

Stitches: TypeAlias = StitchLike | Iterable[StitchLike]
"""One stitch; several; or `all`, `anchors` or `frontier` (the best by measured top-1 and MACs)."""


def chosen_stitches(net: SNNet, stitches: Stitches | None) -> tuple[Stitch, ...]:
    """Return the stitches that are meant, each once, in the order given; all of the space if None.

    A text may name several, separated by spaces or `;`, numbers also by commas: `0 17 0:0-5,1:5-12`.

    Raises:
        SpaceError: If one does not exist, or there is no frontier yet.
    """
    if stitches is None or stitches == "all":
        return tuple(net.space)
    if stitches == "anchors":
        return tuple(net.space.where(max_segments=1))
    if stitches == "frontier":
        if net.table is None or net.table.score not in net.table.columns:
            raise SpaceError("There is no frontier yet, for no stitch is scored; run `snnet evaluate` first.")
        return tuple(row.route for row in pareto_frontier(net.table))
    if isinstance(stitches, str):
        # In ids commas join segments.
        parts = re.split(r"[\s;]+" if ":" in stitches else r"[\s;,]+", stitches.strip())
        return tuple(dict.fromkeys(net.space.find(part) for part in parts if part))
    several = (stitches,) if isinstance(stitches, int | Stitch) else stitches
    return tuple(dict.fromkeys(map(net.space.find, several)))
