"""Counting the multiply-adds of a forward pass without running its arithmetic."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from snnet.utils.meta import run_on_meta

NORM_MACS_PER_ELEMENT = 5
"""The published tables count a layer norm as five multiply-adds for each element (fvcore's convention)."""


class MacCounter(FlopCounterMode):
    """Counts what runs inside its `with` block: matrix products, convolutions, attention and layer norms."""

    def __init__(self) -> None:
        super().__init__(display=False, custom_mapping={torch.ops.aten.native_layer_norm: _norm_flops})

    @property
    def macs(self) -> int:
        """Multiply-adds so far."""
        # FlopCounterMode counts two operations for each multiply-add.
        return int(self.get_total_flops()) // 2


def count_macs(module: nn.Module, *inputs: Tensor) -> int:
    """Return the MACs of one forward pass on inputs of these shapes.

    The pass runs on the meta device with stand-ins for the weights, which are not copied.
    """
    with MacCounter() as counter:
        run_on_meta(module, *inputs)
    total: int = counter.macs
    return total


def _norm_flops(shape: Sequence[int], *_: Any, **__: Any) -> int:
    # A formula of FlopCounterMode gets shapes in the place of tensors.
    return 2 * NORM_MACS_PER_ELEMENT * math.prod(shape)
