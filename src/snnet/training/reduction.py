# Tested in tests/training/test_spread.py.
"""Losses and gradients of all processes as one sum, once a step.

Gradients are summed after the last backward pass of a step, many at a time, and not by `DistributedDataParallel`: that
wants to know beforehand which parameters a step uses, sends gradients at every backward pass of a step with several
stitches, and sends zeros for every parameter outside the route. The price is that nothing is sent while the backward
pass still runs.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from snnet.anchors import BatchNorm
from snnet.utils import share, sum_numbers, sum_tensors


def sum_over_processes(parameters: Iterable[nn.Parameter], losses: Sequence[float]) -> list[float]:
    """Sum losses and gradients; return the summed losses.

    A parameter that no process used keeps no gradient, so that neither decay nor momentum moves it; where some did,
    the others count as zeros. If a loss is not finite the gradients are left alone, in all processes.

    Args:
        parameters: The same in every process, in the same order.
        losses: Weighted, so that their sums mean something; as many in every process.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    used = [float(parameter.grad is not None) for parameter in trained]
    sums = sum_numbers([*losses, *used])
    summed, users = sums[: len(losses)], sums[len(losses) :]
    if all(map(math.isfinite, summed)):
        _sum_gradients([parameter for parameter, count in zip(trained, users, strict=True) if count])
    return summed


def _sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    for parameter, gradient in zip(parameters, sum_tensors(own), strict=True):
        parameter.grad = gradient


def average_statistics(norms: Iterable[BatchNorm]) -> None:
    """Give all processes the mean of their running statistics.

    The update of running statistics is linear in them, so it does not matter how often this is done.
    """
    count = share().count
    own = [part for norm in norms for part in (norm.running_mean, norm.running_var) if part is not None]
    if count > 1:
        for statistic, total in zip(own, sum_tensors(own), strict=True):
            statistic.copy_(total / count)
