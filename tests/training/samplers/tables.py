"""A space with made-up costs and scores."""

from snnet.space import StitchSpace
from snnet.table import StitchRow, StitchTable

SPACE = StitchSpace.build([[4], [4], [4]])


def cost_table() -> StitchTable:
    """A block of anchor n costs 1, 2 or 4 MACs."""
    costs = [1.0, 2.0, 4.0]
    rows = (
        StitchRow(number, stitch.id, {"macs": sum(costs[part.anchor] * len(part) for part in stitch.segments)})
        for number, stitch in enumerate(SPACE)
    )
    return StitchTable(rows)


def scored_table(need: dict[str, float]) -> StitchTable:
    """Anchors score 60, 70 and 80, other stitches lie on their lines less their need."""
    table = cost_table()
    on_line = {4.0: 60.0, 8.0: 70.0, 16.0: 80.0}
    scores = {}
    for row in table:
        front, back = row.route.anchors[0], row.route.anchors[-1]
        x0, x1 = (4.0 * 2**anchor for anchor in (front, back))
        share = 0.0 if front == back else (row.macs - x0) / (x1 - x0)
        scores[row.stitch] = on_line[x0] + share * (on_line[x1] - on_line[x0]) - need.get(row.stitch, 0.0)
    return table.with_column("top1", scores)
