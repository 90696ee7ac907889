"""What is counted: multiply-adds and parameters of steps, stitches and networks."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor

from snnet.layers import LowRankLinear
from snnet.network import SNNet, after_step, replicate
from snnet.space import Step
from snnet.table import StitchRow, StitchTable
from snnet.utils import MacCounter, stand_in, versions


def count_costs(net: SNNet, macs: Mapping[Step, int] | None = None) -> StitchTable:
    """Count the multiply-adds (batch 1) and parameters of every stitch, and keep the result in `net.table`.

    MACs come for all stitches from one count per step of a route. What else `net.table` has is kept; the rows are
    those of the space, in its order.

    Args:
        net: What is counted.
        macs: Multiply-adds of its steps by `step_macs`, where they are known from before.
    """
    params = stitch_params(net)
    macs = step_macs(net) if macs is None else macs
    rows = (
        StitchRow(
            index,
            stitch.id,
            {"macs": sum(macs[step] for step in net.steps(stitch)), "params": params[stitch.id]},
        )
        for index, stitch in enumerate(net.space)
    )
    meta = {
        "anchors": [anchor.name for anchor in net.family],
        "depths": [list(stages) for stages in net.space.depths],
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    table, earlier = StitchTable(rows, meta), net.table
    # Laid over twice: the rows are those of the space, and of two values the newer one stays.
    net.table = table if earlier is None else table.merge(earlier).merge(table)
    return net.table


def step_macs(net: SNNet) -> dict[Step, int]:
    """Count the multiply-adds at batch 1 of each step that some stitch of `net` takes, on the meta device.

    Each step is run once, when the first route reaches it, and later routes take its output from there: what
    a block receives has one shape whatever the route, because stitching layers map to just that shape. Low-rank
    updates of stitching layers count as merged, for they cost nothing where they are.
    """
    replica = replicate(net, stand_in).set_lora_rank(None)
    macs: dict[Step, int] = {}
    outputs: dict[Step, Tensor] = {}
    with torch.no_grad(), MacCounter() as counter:
        for stitch in net.space:
            features: Any = torch.empty(1, *net.input.size, device="meta")
            maps: tuple[Tensor, ...] = ()
            for step in net.steps(stitch):

                def run(given: Any, step: Step = step) -> Any:
                    if step not in macs:
                        before = counter.macs
                        outputs[step] = replica.run_step(step, given)
                        macs[step] = counter.macs - before
                    return outputs[step]

                features, maps = after_step(step, features, maps, run)
    return macs


def step_params(net: SNNet) -> dict[Step, int]:
    """Count the parameters that each step of some stitch of `net` uses; low-rank updates count as merged."""
    return {step: sum(sizes.values()) for step, sizes in _step_sizes(net).items()}


def stitch_params(net: SNNet) -> dict[str, int]:
    """Count, for each stitch id, the parameters of everything that the route runs; a shared tensor counts once.

    The stem with class token and position embedding, blocks, stitching layers, the last anchor's norm and head.
    Low-rank updates of stitching layers count as merged.
    """
    sizes = _step_sizes(net)
    totals = {}
    for stitch in net.space:
        route: dict[int, int] = {}
        for step in net.steps(stitch):
            route.update(sizes[step])
        totals[stitch.id] = sum(route.values())
    return totals


def _step_sizes(net: SNNet) -> dict[Step, dict[int, int]]:
    """Return, for each step, the numbers of its parameters by their identity."""
    steps = dict.fromkeys(step for stitch in net.space for step in net.steps(stitch))
    merged = {id(p) for part in net.layers.modules() if isinstance(part, LowRankLinear) for p in (part.up, part.down)}
    return {step: {id(p): p.numel() for p in net.step_parameters(step) if id(p) not in merged} for step in steps}


def network_params(net: SNNet) -> int:
    """Count the parameters of the whole network: all anchors, all stitching layers with their updates, and a head."""
    parameters = net.parameters()
    return sum({id(parameter): parameter.numel() for parameter in parameters}.values())
