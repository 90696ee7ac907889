"""Choosing among stitches: the frontier of a table, and the best stitch under a budget."""

from snnet.selection.budget import Budget, select
from snnet.selection.columns import (
    ERROR,
    PER_BATCH,
    PREDICTION,
    at_batch,
    higher_is_better,
    is_per_batch,
    is_predicted,
    measured,
    measured_batches,
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
from snnet.selection.profiled import PROFILE, check_profile, describe_profile, without_profile

__all__ = [
    "ERROR",
    "PER_BATCH",
    "PREDICTION",
    "PROFILE",
    "Budget",
    "anchor_regression",
    "at_batch",
    "check_profile",
    "describe_profile",
    "gap_to_lines",
    "higher_is_better",
    "hypervolume",
    "is_per_batch",
    "is_predicted",
    "line_between_anchors",
    "measured",
    "measured_batches",
    "missing_column",
    "pareto_frontier",
    "select",
    "without_predictions",
    "without_profile",
]
