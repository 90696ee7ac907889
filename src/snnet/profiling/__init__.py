"""What stitches cost: multiply-adds and parameters, counted; time, memory and energy, measured or predicted."""

from snnet.profiling.costs import count_costs
from snnet.profiling.energy import EnergyMeter, find_meter
from snnet.profiling.macs import step_macs
from snnet.profiling.memory import memory_bytes
from snnet.profiling.params import network_params, step_params, stitch_params
from snnet.profiling.profiling import profile
from snnet.profiling.settings import MeasureSettings
from snnet.profiling.timing import median_interval

__all__ = [
    "EnergyMeter",
    "MeasureSettings",
    "count_costs",
    "find_meter",
    "median_interval",
    "memory_bytes",
    "network_params",
    "profile",
    "step_macs",
    "step_params",
    "stitch_params",
]
