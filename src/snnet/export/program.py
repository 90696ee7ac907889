# Tested in tests/export/test_export.py.
"""A module as a graph of torch's operators, for any size of batch."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from snnet.errors import ExportError


def export_program(module: nn.Module, images: Tensor) -> ExportedProgram:
    """Return what `module` computes as a graph whose first axis of images may have any size.

    Args:
        module: In evaluation mode.
        images: Example `(B, C, H, W)`, of which size, type and device count; B is 2 or more.

    Raises:
        ExportError: If torch cannot write the module as one graph, or only for one size of batch.
    """
    # Of a batch of one torch believes that it is always one.
    example = images if len(images) > 1 else torch.cat([images, images])
    try:
        # With gradients, for without them some models keep what they have worked out, here tensors without values.
        with torch.enable_grad(), quiet():
            return torch.export.export(module, (example,), dynamic_shapes=({0: Dim("batch")},))
    except Exception as error:
        raise ExportError(
            f"torch.export cannot write this stitch as one graph for every size of batch: {error}. The forward pass "
            "must not depend on the values in the images, and must read the batch's size from a shape."
        ) from error


@contextmanager
def quiet(*others: str) -> Iterator[None]:
    """Keep notes of exporters, and of other loggers, on their own workings to themselves."""
    names = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir", *others)
    before = {logger: logger.level for logger in map(logging.getLogger, names)}
    try:
        for logger in before:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)
