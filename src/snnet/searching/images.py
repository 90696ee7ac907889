# Tested in tests/searching/test_finding.py.
"""Calibration images with the labels that some of them come with."""

import sys
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from snnet.errors import DataError
from snnet.init import image_batches
from snnet.network import SNNet
from snnet.tasks import Classification


def take_images(net: SNNet, images: Tensor | Iterable[Any], most: int) -> tuple[Tensor, Tensor | None]:
    """Return images `(N, C, H, W)`, and their labels where all of them have one, and the task is to tell classes.

    Raises:
        DataError: If there are fewer than four, or they are not what the network takes.
    """
    taken: list[Tensor] = []
    labels: list[Tensor] = []
    for item in [images] if isinstance(images, Tensor) else images:
        left = most - sum(map(len, taken))
        taken += image_batches([item], net.input.size, sys.maxsize, left)
        if isinstance(item, (tuple, list)) and len(item) > 1 and isinstance(net.task, Classification):
            labels.append(net.task.checked(item, net.num_classes)[1][:left])
        if left <= len(taken[-1]):
            break
    found = torch.cat(taken) if taken else torch.empty(0)
    if len(found) < 4:
        raise DataError(
            f"A search fits on one half of the images and judges on the other; {len(found)} are too few, give a few "
            "hundred."
        )
    known = torch.cat(labels) if labels else torch.empty(0)
    return found, known if len(known) == len(found) else None
