"""Choosing among stitches: the frontier of a table, and the best stitch under a budget."""

from snnet.selection.budget import Budget, select
from snnet.selection.columns import higher_is_better, measured, missing_column
from snnet.selection.frontier import (
    anchor_regression,
    gap_to_lines,
    hypervolume,
    line_between_anchors,
    pareto_frontier,
)

__all__ = [
    "Budget",
    "anchor_regression",
    "gap_to_lines",
    "higher_is_better",
    "hypervolume",
    "line_between_anchors",
    "measured",
    "missing_column",
    "pareto_frontier",
    "select",
]
