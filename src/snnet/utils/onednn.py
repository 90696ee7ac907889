"""Linear layers on a CPU by oneDNN in place of MKL, for as long as a `with` block lasts."""

import platform
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

SMALLEST = 64 * 128
"""Elements of a weight matrix below which the detour costs more than it saves."""

_HAS_KERNEL = torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")
_ON_X86 = platform.machine().lower() in ("x86_64", "amd64")


def fast_linear(device: torch.device | str) -> AbstractContextManager[Any]:
    """Return a context in which float32 linear layers run through oneDNN, forward and backward.

    PyTorch computes them with MKL, which uses half the width of an AMD core's vector units; oneDNN, which computes
    its convolutions and compiled graphs, uses all of it, and is no slower on Intel cores. Values agree to rounding.
    The context belongs to the thread that enters it. On other devices than an x86 CPU it does nothing.
    """
    return _OneDnnLinear() if has_fast_linear(device) else nullcontext()


def has_fast_linear(device: torch.device | str) -> bool:
    """Tell whether products on this device gain by `fast_linear`."""
    return torch.device(device).type == "cpu" and _ON_X86 and _HAS_KERNEL


class _OneDnnLinear(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is functional.linear and not kwargs and _suits(*args):
            return _Linear.apply(args[0], args[1], args[2] if len(args) > 2 else None)
        return func(*args, **(kwargs or {}))


def _suits(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    if weight.numel() < SMALLEST or inputs.dim() < 2 or torch.is_autocast_enabled("cpu"):
        return False
    tensors = (inputs, weight) if bias is None else (inputs, weight, bias)
    return all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return fast_product(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs, weight = ctx.saved_tensors
        rows = grad.flatten(0, -2)
        to_inputs, to_weight, to_bias = ctx.needs_input_grad
        return (
            fast_product(grad, weight.T) if to_inputs else None,
            fast_product(rows.T, inputs.flatten(0, -2).T) if to_weight else None,
            rows.sum(dim=0) if to_bias else None,
        )


def fast_product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `rows weight' + bias` of float32 tensors on a CPU, `(..., K)` by `(N, K)`, by oneDNN's kernel."""
    # For strided rows oneDNN has only a reference kernel, a thousand times slower; a transposed matrix is fine.
    result: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(rows), _dense(weight), bias, "none", [], "")
    return result


def _dense(matrix: Tensor) -> Tensor:
    transposed = matrix.dim() == 2 and matrix.T.is_contiguous()
    return matrix if transposed else matrix.contiguous()
