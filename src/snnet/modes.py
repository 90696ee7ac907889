"""Borrowing a module for evaluation, or threads for the work, and giving both back as they were."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(module: nn.Module, device: torch.device | str | None = None) -> Iterator[torch.device]:
    """Put a module on a device (its own if None) and in evaluation mode; restore both at the end.

    Yields the device. Gradients are the caller's business.
    """
    home = next(module.parameters()).device
    moves = device is not None and torch.device(device) != home  # to move a module takes long, even to where it is
    training = [part for part in module.modules() if part.training]
    try:
        module.eval()
        yield next((module.to(device) if moves else module).parameters()).device
    finally:
        if moves:
            module.to(home)
        for part in training:
            part.training = True


@contextmanager
def trying_training(module: nn.Module) -> Iterator[Callable[[], None]]:
    """Put a module in training mode, and give back modes, buffers and the random state at the end.

    Yields a function that sets buffers and random state to the same beginning, for runs that are to be alike.
    """
    modes = [(part, part.training) for part in module.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]

    def begin() -> None:
        torch.manual_seed(0)
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)

    with torch.random.fork_rng():
        try:
            module.train()
            begin()
            yield begin
        finally:
            begin()
            for part, training in modes:
                part.training = training


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Within the block, let torch use so many threads on the CPU; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
