"""Counting the multiply-adds of a forward pass without running its arithmetic."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

NORM_MACS_PER_ELEMENT = 5
"""The published tables count a normalization as five multiply-adds for each element (fvcore's convention)."""


def _norm_flops(input_shape: Any, *_: Any, **__: Any) -> int:
    # FlopCounterMode works in FLOPs, two to a multiply-add.
    return 2 * NORM_MACS_PER_ELEMENT * int(torch.Size(input_shape).numel())


_EXTRA: dict[Any, Callable[..., int]] = {torch.ops.aten.native_layer_norm: _norm_flops}


def count_macs(module: nn.Module, *inputs: Tensor) -> int:
    """Return the MACs of one forward pass on inputs of these shapes.

    The pass runs on the meta device with stand-ins for the weights, so the module is neither moved nor copied.
    Matrix products, convolutions and attention are counted by torch's `FlopCounterMode`, normalization layers with
    five per element.
    """
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    stand_ins = {name: torch.empty_like(tensor, device="meta") for name, tensor in state.items()}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_EXTRA) as counter:
        functional_call(module, stand_ins, tuple(x.to("meta") for x in inputs))
    return int(counter.get_total_flops()) // 2
