"""Running a module for its shapes alone: on the meta device there is no arithmetic, and weights are not copied."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


def stand_in(tensor: Tensor) -> Tensor:
    """Return a tensor of this shape on the meta device, which has no values.

    All floating-point stand-ins are of one type, whatever theirs is: shapes do not depend on it, but weights and images
    of different types do not multiply.
    """
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return torch.empty_like(tensor, dtype=dtype, device="meta")


def run_on_meta(module: nn.Module, *inputs: Tensor) -> Any:
    """Return what a module gives for stand-ins of `inputs`; its weights and statistics are not touched."""
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    stand_ins = {name: stand_in(tensor) for name, tensor in state.items()}
    with torch.no_grad():
        return functional_call(module, stand_ins, tuple(map(stand_in, inputs)))
