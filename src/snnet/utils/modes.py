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
    # A forward pass may write into a buffer, or set another tensor in its place.
    tables = [(part._buffers, dict(part._buffers)) for part in module.modules()]
    values = [(buffer, buffer.clone()) for buffer in module.buffers()]
    set_random_state = _random_state(module)

    def begin() -> None:
        with torch.no_grad():
            for buffer, value in values:
                if not torch.equal(buffer, value):  # an expanded one cannot be written to, not even as it is
                    buffer.copy_(value)
        for table, kept in tables:
            table.clear()
            table.update(kept)
        set_random_state()

    try:
        module.train()
        yield begin
    finally:
        begin()
        for part, training in modes:
            part.training = training


def _random_state(module: nn.Module) -> Callable[[], None]:
    """Return what sets the random state back to what it is now, on the CPU and on the module's devices alone."""
    # To ask for the state of a GPU begins to use it.
    devices = {tensor.device for tensor in (*module.parameters(), *module.buffers())}
    cpu = torch.get_rng_state()
    others = [(d, torch.get_device_module(d).get_rng_state(d)) for d in devices if d.type not in ("cpu", "meta")]

    def set_back() -> None:
        torch.set_rng_state(cpu)
        for device, state in others:
            torch.get_device_module(device).set_rng_state(state, device)

    return set_back


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Within the block, let torch use so many threads on the CPU; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
