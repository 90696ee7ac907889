# Tested in tests/profiling/test_profiling.py.
"""What each step of a network's routes costs, of any kind of cost that is a sum of steps'."""

from collections.abc import Mapping
from statistics import median

import torch

from snnet.errors import RecipeError
from snnet.network import SNNet, chosen_stitches
from snnet.profiling.bench import Bench
from snnet.profiling.costs import step_macs, step_params
from snnet.profiling.steps import plan_walks
from snnet.profiling.timing import MeasureSettings
from snnet.runtime.engines import ENGINES, Conditions
from snnet.space import Step
from snnet.table import COST, LATENCY, MEMORY
from snnet.utils import torch_threads


def step_costs(net: SNNet, cost: str = COST) -> Mapping[Step, float]:
    """Return what each step costs that some stitch of a network takes.

    Args:
        net: The network, where it is to run.
        cost: `macs`, `params`, `memory_mb` (megabytes of weights) or `latency_ms` (measured, in plain PyTorch).

    Raises:
        RecipeError: If it is none of these.
    """
    if cost == COST:
        return step_macs(net)
    if cost == "params":
        return step_params(net)
    if cost == MEMORY:
        size = torch.finfo(net.dtype).bits / 8e6
        return {step: count * size for step, count in step_params(net).items()}
    if cost == LATENCY:
        return _step_latencies(net)
    raise RecipeError(f"No step has {cost!r}; accepted: {COST}, params, {MEMORY}, {LATENCY}.")


def _step_latencies(net: SNNet) -> dict[Step, float]:
    """Time each step in rounds, and scale the medians so that those of anchors add up to the anchors' own."""
    conditions = Conditions.of(net, None, None, None)
    anchors = chosen_stitches(net, "anchors")
    macs = step_macs(net)
    costs = {route: float(sum(macs[step] for step in net.steps(route))) for route in net.space}
    with torch_threads(conditions.threads):
        engine = ENGINES.get("eager")(net, conditions)
        bench = Bench(net, engine, MeasureSettings())
        try:
            images = bench.images(1)
            inputs = bench.inputs(net.space, images)
            times = bench.time(anchors, plan_walks([net.steps(route) for route in net.space]), images, inputs, costs)
        finally:
            bench.close()
            engine.close()
    medians = {step: median(found) for step, found in times.items()}
    sums = [sum(medians[step] for step in net.steps(route)) for route in anchors]
    scale = sum(medians[route] for route in anchors) / sum(sums)
    return {step: time * scale for step, time in medians.items() if isinstance(step, Step)}
