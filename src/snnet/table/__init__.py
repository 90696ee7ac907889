"""What is known about stitches: a row each, the frontier among them, and the best under a budget."""

from snnet.table.budget import Budget, Ranking, select
from snnet.table.columns import (
    COLUMNS,
    COST,
    ENERGY,
    ERROR,
    LATENCY,
    MEMORY,
    SCORE,
    THROUGHPUT,
    Column,
    at_batch,
    column,
    kinds_of,
)
from snnet.table.facts import PROFILE, describe_profile
from snnet.table.frontier import anchor_regression, gap_to_lines, hypervolume, line_between_anchors, pareto_frontier
from snnet.table.profiled import check_profile, without_profile
from snnet.table.row import StitchRow
from snnet.table.table import StitchTable
from snnet.table.values import (
    PREDICTION,
    is_predicted,
    measured,
    measured_batches,
    missing_column,
    without_predictions,
    without_scores,
)

__all__ = [
    "COLUMNS",
    "COST",
    "ENERGY",
    "ERROR",
    "LATENCY",
    "MEMORY",
    "PREDICTION",
    "PROFILE",
    "SCORE",
    "THROUGHPUT",
    "Budget",
    "Column",
    "Ranking",
    "StitchRow",
    "StitchTable",
    "anchor_regression",
    "at_batch",
    "check_profile",
    "column",
    "describe_profile",
    "gap_to_lines",
    "hypervolume",
    "is_predicted",
    "kinds_of",
    "line_between_anchors",
    "measured",
    "measured_batches",
    "missing_column",
    "pareto_frontier",
    "select",
    "without_predictions",
    "without_profile",
    "without_scores",
]
