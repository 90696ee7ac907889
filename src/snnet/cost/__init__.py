"""What a stitch costs: multiply-adds and parameters, counted without running anything."""

from snnet.cost.costs import count_costs
from snnet.cost.macs import step_macs
from snnet.cost.params import network_params, step_params, stitch_params

__all__ = ["count_costs", "network_params", "step_macs", "step_params", "stitch_params"]
