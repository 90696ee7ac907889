"""What a stitch costs: multiply-adds, parameters, latency and throughput."""

from snnet.cost.latency import measure_latency
from snnet.cost.macs import step_macs
from snnet.cost.params import network_params, step_params
from snnet.cost.profile import profile

__all__ = ["measure_latency", "network_params", "profile", "step_macs", "step_params"]
