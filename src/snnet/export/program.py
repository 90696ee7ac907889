# Tested in tests/export/test_export.py.
"""A module as a graph of torch's operators, for any size of batch."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from snnet.errors import ExportError
from snnet.network import Given


def export_program(module: nn.Module, images: Given) -> ExportedProgram:
    """Return what `module` computes as a graph whose first axis of images may have any size.

    Args:
        module: In evaluation mode.
        images: Example `(B, C, H, W)`, of which size, type and device count; for a module that takes several tensors
            a tuple of them.

    Raises:
        ExportError: If torch cannot write the module as one graph, or only for one size of batch.
    """
    # Of a batch of one torch believes that it is always one.
    # One tensor given twice would be taken for one argument.
    given = tuple(each.clone() for each in images) if isinstance(images, tuple) else (images,)
    example = tuple(each if len(each) > 1 else torch.cat([each, each]) for each in given)
    batch = {0: Dim("batch")}
    axes = (batch, tuple(batch for _ in example[1:])) if len(example) > 1 else (batch,)
    try:
        # With gradients, for without them some models keep what they have worked out, here tensors without values.
        with torch.enable_grad(), quiet():
            return torch.export.export(module, example, dynamic_shapes=axes)
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
