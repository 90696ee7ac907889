# Tested in tests/network/test_fold_norms.py.
"""The batch norms of modules."""

from collections.abc import Iterable
from typing import TypeAlias

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BatchNorm: TypeAlias = _BatchNorm
"""Any batch norm of torch, and timm's with an activation."""


def batch_norms(modules: Iterable[nn.Module]) -> list[BatchNorm]:
    """Return the batch norms within modules that have running statistics, each once, in the order of the modules."""
    found = (part for module in modules for part in module.modules())
    return list(dict.fromkeys(part for part in found if isinstance(part, BatchNorm) and part.running_mean is not None))
