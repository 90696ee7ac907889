# Tested in tests/recipes/test_demo.py.
"""Pictures of what the chosen stitches of a run see in a few images, where a mask is to be seen."""

from collections.abc import Mapping
from pathlib import Path

import torch

from snnet.data import IGNORED
from snnet.network import palette
from snnet.recipes.parts import Parts
from snnet.report import draw_masks
from snnet.table import StitchRow
from snnet.tasks import Segmentation
from snnet.utils import evaluating, human

PICTURE = "masks.png"
_COUNT = 8


def draw_examples(parts: Parts, choices: Mapping[float, StitchRow], directory: Path) -> dict[str, Path]:
    """Draw the first images of the validation data with their masks and those that stitches give; none if no masks.

    Args:
        parts: Network, and the images.
        choices: Budget in MACs -> the stitch that is chosen for it.
        directory: Where the picture goes.

    Returns:
        Caption -> picture.
    """
    net = parts.net
    if not isinstance(net.task, Segmentation):
        return {}
    images, truth = next(iter(parts.validation))
    images, truth = images[:_COUNT], truth[:_COUNT]
    masks = {"truth": truth.numpy()}
    with evaluating(net) as device, torch.inference_mode():
        for budget, row in choices.items():
            masks[f"{human(budget, 2)}\nMACs"] = net(images.to(device), row.stitch).argmax(1).cpu().numpy()
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (net.input.mean, net.input.std))
    pixels = (images * std + mean).clamp(0, 1).movedim(1, -1).squeeze(-1).numpy()
    classes = net.classes or tuple(map(str, range(net.num_classes)))
    path = draw_masks(pixels, masks, directory / PICTURE, classes=classes, colors=palette(len(classes)), ignore=IGNORED)
    return {"What stitches see within three budgets, beside the truth": path}
