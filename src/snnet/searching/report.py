# Tested in tests/searching/test_finding.py.
"""What a search tried, what it found, and what is kept of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnet.report import draw_search
from snnet.space import Stitch
from snnet.table import AGREEMENT, DIVERGENCE, StitchTable, column
from snnet.utils import html_grid

SEARCH = "search"
"""What the files of a search are called."""
SCORES = "search.scores.json"
"""Scores that a search keeps on the way, where its files will be."""
NEAR = 1.25
"""How many times as bad as the best within its cost a route may be to be chosen besides."""


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

    def save(self, directory: Path) -> tuple[Path, Path]:
        """Write all candidates as `search.jsonl` and as a picture, `search.png`, and return both paths.

        Scores that were kept there on the way are removed.
        """
        picture = draw_search(self.table, directory / f"{SEARCH}.png", self.chosen, cost=self.cost)
        table = self.table.save(directory / f"{SEARCH}.jsonl")
        (directory / SCORES).unlink(missing_ok=True)
        return table, picture

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
    costs: Mapping[Stitch, float],
    badness: Mapping[Stitch, float],
    budgets: Sequence[float],
    near: float = NEAR,
    least: float = 0.0,
) -> list[Stitch]:
    """Return routes by rising cost, as many as there are budgets at most.

    The best route within each budget comes first, of equals the cheapest. One may be the best within several budgets;
    what is left is then filled with those that are the least worse than the best that costs no more, up to `near` times
    as bad: which of them is better on other images is not known. With 0 there are none. A route that is better than
    what costs less by no more than `least` is left out.
    """
    ordered = sorted(costs, key=lambda route: (costs[route], badness[route], route.id))
    found: dict[Stitch, None] = {}
    reached = math.inf
    for budget in budgets:
        within = [route for route in ordered if costs[route] <= budget]
        if within and badness[chosen := min(within, key=badness.__getitem__)] < reached - least:
            found[chosen], reached = None, badness[chosen]
    best, others = math.inf, list[tuple[float, Stitch]]()
    for route in ordered:
        best = min(best, badness[route])
        if near and route not in found and badness[route] <= near * best and costs[route] <= budgets[-1]:
            others.append((badness[route] / best if best else 1.0, route))
    found |= dict.fromkeys(route for _, route in sorted(others)[: len(budgets) - len(found)])
    return [route for route in ordered if route in found]
