"""Borrowing a module for evaluation, and giving it back as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(module: nn.Module, device: torch.device | str | None = None) -> Iterator[torch.device]:
    """Put a module on a device (its own if None) and in evaluation mode; restore both at the end.

    Yields the device. Gradients are the caller's business.
    """
    home = next(module.parameters()).device
    training = [part for part in module.modules() if part.training]
    try:
        yield next(module.eval().to(home if device is None else device).parameters()).device
    finally:
        module.to(home)
        for part in training:
            part.training = True
