"""What is known about stitches: a row each, the frontier among them, and the best under a budget."""

from snnet.table.budget import Budget, select
from snnet.table.columns import (
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
from snnet.table.frontier import anchor_regression, gap_to_lines, hypervolume, line_between_anchors, pareto_frontier
from snnet.table.profiled import PROFILE, check_profile, describe_profile, without_profile
from snnet.table.table import StitchRow, StitchTable

__all__ = [
    "ERROR",
    "PER_BATCH",
    "PREDICTION",
    "PROFILE",
    "Budget",
    "StitchRow",
    "StitchTable",
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
