"""Pictures of masks: what some stitches see in images, beside what is there."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from snnet.errors import TableError
from snnet.report.plots import INK, save_figure

Masks = NDArray[np.integer]
"""Numbers of classes, `(N, H, W)`."""


def draw_masks(
    images: NDArray[np.floating],
    masks: Mapping[str, Masks],
    path: str | Path,
    *,
    classes: Sequence[str],
    colors: Sequence[tuple[int, int, int]],
    ignore: int = 255,
) -> Path:
    """Draw images in a column each: the image, and below it masks of it, one row for each of their names.

    Args:
        images: `(N, H, W)` grey or `(N, H, W, 3)`, from 0 to 1.
        masks: Name of a row, such as `truth` or a budget -> masks of all images.
        path: Where to write; PNG, SVG or PDF by its suffix. Written whole or not at all.
        classes: Names of the classes; those that are seen are in the legend.
        colors: Red, green and blue of each class, from 0 to 255.
        ignore: Label of pixels that are left white.

    Raises:
        TableError: If there is no image, masks have other sizes, or the format is unknown.
    """
    if not len(images) or any(mask.shape != images.shape[:3] for mask in masks.values()):
        shapes = ", ".join(f"{name} {mask.shape}" for name, mask in masks.items())
        raise TableError(f"Images of shape {images.shape} and masks of {shapes or 'none'} do not make a picture.")
    palette = [(red / 255, green / 255, blue / 255) for red, green, blue in colors]
    shades = ListedColormap([*palette, (1.0, 1.0, 1.0)])
    rows, columns = 1 + len(masks), len(images)
    figure = Figure(figsize=(1.1 * columns + 1.2, 1.1 * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for column, image in enumerate(images):
        axes[0, column].imshow(image, cmap="gray", vmin=0, vmax=1)
        for row, mask in enumerate(masks.values(), 1):
            shown = np.where(mask[column] == ignore, len(classes), mask[column])
            axes[row, column].imshow(shown, cmap=shades, vmin=0, vmax=len(classes), interpolation="nearest")
    for row, name in enumerate(["image", *masks]):
        axes[row, 0].set_ylabel(name, fontsize=8, color=INK)
        for cell in axes[row]:
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
    seen = np.unique(np.concatenate([mask.ravel() for mask in masks.values()]))
    patches = [Patch(color=palette[n], label=classes[n]) for n in seen.tolist() if n != ignore]
    figure.legend(handles=patches, loc="outside lower center", ncols=min(len(patches), 6), fontsize=7, frameon=False)
    return save_figure(figure, path)
