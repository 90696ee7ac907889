"""The option that says which stitches a command is about."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from snnet.errors import SpaceError
from snnet.space import Stitch
from snnet.table import SCORE, pareto_frontier

if TYPE_CHECKING:
    from snnet.network import SNNet

Stitches = Annotated[
    str,
    Parameter(
        help="all; anchors; frontier (the best by measured top-1 and MACs); or numbers and ids, separated by spaces "
        "or ';', such as '0 17 0:0-5,1:5-12'."
    ),
]


def chosen_stitches(net: "SNNet", text: str) -> Sequence[Stitch]:
    """Return the stitches that the option names.

    Raises:
        SpaceError: If one does not exist, or there is no frontier yet.
    """
    if text == "all":
        return list(net.space)
    if text == "anchors":
        return list(net.space.where(max_segments=1))
    if text == "frontier":
        if net.table is None or SCORE not in net.table.columns:
            raise SpaceError("There is no frontier yet, for no stitch is scored; run `snnet evaluate` first.")
        return [row.route for row in pareto_frontier(net.table)]
    # Numbers may also be separated by commas; in ids commas join segments.
    separators = r"[\s;]+" if ":" in text else r"[\s;,]+"
    return [net.space.find(part) for part in re.split(separators, text.strip()) if part]
