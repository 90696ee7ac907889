"""Batch norms that normalize with the statistics of all processes' images."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode

_ARGUMENTS = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")


class SyncedBatchNorm(TorchFunctionMode):
    """While entered, batch norms in training mode use mean and variance over all processes.

    No module is changed, so it works for every batch norm that calls torch's function, on any device, with parts of
    unequal size. All processes must run the same stitch.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace batch norms in training mode, and hand everything else on."""
        if func is not batch_norm:
            return func(*args, **(kwargs or {}))
        given = {**dict(zip(_ARGUMENTS, args, strict=False)), **(kwargs or {})}
        return _normalize(**given) if given.get("training") else batch_norm(**given)


def _normalize(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = True,  # noqa: ARG001
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Compute what `torch.nn.functional.batch_norm` would give if it saw all images; features are `(B, C, ...)`."""
    features = input.float()
    mean, variance, count = _statistics(features)
    if running_mean is not None and running_var is not None:
        unbiased = variance.detach() * (count / (count - 1))
        running_mean.lerp_(mean.detach().to(running_mean.dtype), momentum)
        running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    shape = [1, -1] + [1] * (features.ndim - 2)
    output = (features - mean.view(shape)) * torch.rsqrt(variance + eps).view(shape)
    output = output if weight is None else output * weight.view(shape)
    return (output if bias is None else output + bias.view(shape)).to(input.dtype)


def _statistics(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean, biased variance and count of each channel over all processes."""
    axes = [axis for axis in range(features.ndim) if axis != 1]
    own = features.numel() // features.shape[1]
    variance, mean = torch.var_mean(features, axes, correction=0)
    sums = _sum(torch.cat([mean * own, mean.new_tensor([own])]))
    count = sums[-1].detach()
    whole = sums[:-1] / count
    # From squares around the common mean: a difference of large sums would lose digits.
    return whole, _sum(own * (variance + (mean - whole) ** 2)) / count, count


class _Sum(torch.autograd.Function):
    """The sum over all processes. Each depends on all inputs, so their gradients are summed as well."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:  # noqa: ARG004
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _sum(own: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(own)
    return total
