"""Setting the stitching layers before training, and measuring the statistics of batch norms after."""

from snnet.init.least_squares import InitReport, LayerFit, collect_equations, initialize
from snnet.init.recalibration import RecalibrationReport, has_batch_norm, recalibrate
from snnet.init.settings import CalibrationSettings, Method, RecalibrationSettings

__all__ = [
    "CalibrationSettings",
    "InitReport",
    "LayerFit",
    "Method",
    "RecalibrationReport",
    "RecalibrationSettings",
    "collect_equations",
    "has_batch_norm",
    "initialize",
    "recalibrate",
]
