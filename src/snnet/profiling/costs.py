"""The table of costs: multiply-adds and parameters of every stitch."""

from datetime import UTC, datetime

from snnet.network import SNNet
from snnet.profiling.macs import step_macs
from snnet.profiling.params import stitch_params
from snnet.table import StitchRow, StitchTable
from snnet.utils import versions


def count_costs(net: SNNet) -> StitchTable:
    """Count the multiply-adds (batch 1) and parameters of every stitch, and keep the result in `net.table`.

    MACs come for all stitches from one count per step of a route. What else `net.table` has is kept; the rows are
    those of the space, in its order.
    """
    table, earlier = _count(net), net.table
    # Laid over twice: the rows are those of the space, and of two values the newer one stays.
    net.table = table if earlier is None else table.merge(earlier).merge(table)
    return net.table


def _count(net: SNNet) -> StitchTable:
    macs, params = step_macs(net), stitch_params(net)
    rows = (
        StitchRow(
            index,
            stitch.id,
            {"macs": sum(macs[step] for step in net.steps(stitch)), "params": params[stitch.id]},
        )
        for index, stitch in enumerate(net.space)
    )
    meta = {
        "anchors": [anchor.name for anchor in net.family],
        "depths": [list(stages) for stages in net.space.depths],
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return StitchTable(rows, meta)
