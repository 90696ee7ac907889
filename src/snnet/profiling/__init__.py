"""What stitches take on the machine at hand: time, memory and energy, measured or predicted from their steps."""

from snnet.profiling.energy import EnergyMeter, find_meter
from snnet.profiling.memory import memory_bytes
from snnet.profiling.profile import profile
from snnet.profiling.settings import MeasureSettings
from snnet.profiling.timing import median_interval

__all__ = ["EnergyMeter", "MeasureSettings", "find_meter", "median_interval", "memory_bytes", "profile"]
