"""Setting the stitching layers before training, and measuring the statistics of batch norms after."""

from snnet.init.least_squares import InitReport, LayerFit, collect_equations, initialize
from snnet.init.recalibration import RecalibrationReport, has_batch_norm, recalibrate

__all__ = [
    "InitReport",
    "LayerFit",
    "RecalibrationReport",
    "collect_equations",
    "has_batch_norm",
    "initialize",
    "recalibrate",
]
