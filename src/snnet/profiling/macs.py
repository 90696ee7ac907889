"""Multiply-adds of every step of a network's routes, counted on the meta device: shapes only, no arithmetic."""

import torch
from torch import Tensor

from snnet.network import SNNet, replicate
from snnet.space import Step
from snnet.utils import MacCounter, stand_in


def step_macs(net: SNNet) -> dict[Step, int]:
    """Count the multiply-adds at batch 1 of each step that some stitch of `net` takes.

    Each step is run once, when the first route reaches it, and later routes take its output from there: what
    a block receives has one shape whatever the route, because stitching layers map to just that shape. Low-rank
    updates of stitching layers count as merged, for they cost nothing where they are.
    """
    replica = replicate(net, stand_in).set_lora_rank(None)
    macs: dict[Step, int] = {}
    outputs: dict[Step, Tensor] = {}
    with torch.no_grad(), MacCounter() as counter:
        for stitch in net.space:
            features = torch.empty(1, *net.input.size, device="meta")
            for step in net.steps(stitch):
                if step not in macs:
                    before = counter.macs
                    outputs[step] = replica.run_step(step, features)
                    macs[step] = counter.macs - before
                features = outputs[step]
    return macs
