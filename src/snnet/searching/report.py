# Tested in tests/searching/test_finding.py.
"""What a search tried, what it found, and what is kept of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snnet.space import Stitch
from snnet.table import StitchTable, column
from snnet.utils import html_grid

DIVERGENCE, AGREEMENT, EXPECTED = "divergence", "agreement", "expected_divergence"
"""Columns of a search: see `Score`, and the divergence expected of routes that were not run."""


@dataclass(frozen=True, repr=False)
class SearchReport:
    """What `search` did.

    Attributes:
        chosen: The stitches that the network has now, anchors first, then by cost.
        table: All candidates: anchors, every route with one cut, and those with more that were run. Columns: the cost;
            `expected_divergence` of routes with one cut; `divergence` and `agreement` of those that were run.
        cost: The column of costs.
        budgets: The budgets that routes were chosen for.
        images: Images that layers were fitted to, and held-out images that routes were scored on.
        seconds: How long it took.
    """

    chosen: tuple[Stitch, ...]
    table: StitchTable
    cost: str
    budgets: tuple[float, ...]
    images: tuple[int, int]
    seconds: float

    def __repr__(self) -> str:
        run = sum(DIVERGENCE in row.values for row in self.table)
        return (
            f"SearchReport({len(self.chosen)} stitches chosen among {len(self.table):,} candidates, of which {run:,} "
            f"were run, on {self.images[0]} + {self.images[1]} images in {self.seconds:.1f} s)"
        )

    def _repr_html_(self) -> str:
        return html_grid(*self.grid(), left=("stitch",), caption=repr(self))

    def grid(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and a row for each chosen stitch, as people read them."""
        names = [name for name in (self.cost, AGREEMENT, DIVERGENCE) if name in self.table.columns]
        rows = {row.stitch: row for row in self.table}
        found = [rows[stitch.id] for stitch in self.chosen]
        columns = [column(name) for name in names]
        return ["stitch", *(one.heading for one in columns)], [
            [row.stitch, *(one.text(row.get(one.name)) for one in columns)] for row in found
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, without the table."""
        return {
            "chosen": [stitch.id for stitch in self.chosen],
            "cost": self.cost,
            "budgets": list(self.budgets),
            "images": list(self.images),
            "seconds": self.seconds,
        }


def choose(
    costs: Mapping[Stitch, float], divergences: Mapping[Stitch, float], budgets: Sequence[float]
) -> list[Stitch]:
    """Return the best route within each budget, each once, by rising cost; of equals the cheapest."""
    found: dict[Stitch, None] = {}
    ordered = sorted(costs, key=lambda route: (costs[route], divergences[route], route.id))
    for budget in budgets:
        within = [route for route in ordered if costs[route] <= budget]
        if within:
            found[min(within, key=divergences.__getitem__)] = None
    return list(found)
