"""Running a module for its shapes and its multiply-adds alone: on the meta device there is no arithmetic."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode


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


class MacCounter(FlopCounterMode):
    """Counts what runs inside its `with` block: matrix products, convolutions, attention and layer norms."""

    def __init__(self) -> None:
        # The published tables count a layer norm as five multiply-adds for each element (fvcore's convention).
        # A formula gets shapes in the place of tensors, and counts two operations for each multiply-add.
        norm = {torch.ops.aten.native_layer_norm: lambda shape, *_, **__: 2 * 5 * math.prod(shape)}
        super().__init__(display=False, custom_mapping=norm)

    @property
    def macs(self) -> int:
        """Multiply-adds so far."""
        return int(self.get_total_flops()) // 2


def count_macs(module: nn.Module, *inputs: Tensor) -> int:
    """Return the MACs of one forward pass on inputs of these shapes.

    The pass runs on the meta device with stand-ins for the weights, which are not copied.
    """
    with MacCounter() as counter:
        run_on_meta(module, *inputs)
    return int(counter.macs)
