# Tested in tests/training/test_trainer.py.
"""Anchors that training leaves as they are."""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from snnet.anchors import batch_norms
from snnet.space import Stitch


@contextmanager
def without_gradients(module: nn.Module) -> Iterator[None]:
    """Within the block, compute no gradient of the module's weights; those that had one get it back."""
    moving = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for parameter in moving:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)


def hold_statistics(module: nn.Module) -> None:
    """Let batch norms of a module in training mode normalize with the running statistics they have, and keep these.

    Dropout and stochastic depth go on.
    """
    for norm in batch_norms([module]):
        norm.eval()


def with_something_to_train(stitches: Sequence[Stitch], frozen: Container[int]) -> list[Stitch]:
    """Return the stitches without frozen anchors alone.

    Args:
        stitches: Those of a space.
        frozen: Numbers of the anchors that stay as they are.
    """
    return [route for route in stitches if not (route.is_anchor and route.anchors[0] in frozen)]
