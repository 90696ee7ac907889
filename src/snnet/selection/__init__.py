"""Choosing among stitches: the frontier of a table, and the best stitch under a budget."""

from snnet.selection.budget import Budget, select
from snnet.selection.columns import (
    ERROR,
    PREDICTION,
    higher_is_better,
    is_predicted,
    measured,
    missing_column,
    without_predictions,
)
from snnet.selection.frontier import (
    anchor_regression,
    gap_to_lines,
    hypervolume,
    line_between_anchors,
    pareto_frontier,
)

__all__ = [
    "ERROR",
    "PREDICTION",
    "Budget",
    "anchor_regression",
    "gap_to_lines",
    "higher_is_better",
    "hypervolume",
    "is_predicted",
    "line_between_anchors",
    "measured",
    "missing_column",
    "pareto_frontier",
    "select",
    "without_predictions",
]
