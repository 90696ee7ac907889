# Tested in tests/anchors/test_families.py.
"""The shapes of an anchor's features, found without arithmetic."""

import torch
from torch import Tensor, nn

from snnet.anchors.anchor import Anchor
from snnet.space import FeatureSpec, Layout
from snnet.utils import run_on_meta

_IMAGES = 2  # Batch norms in training mode refuse a single position.


def feature_shapes(anchor: Anchor) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of the stem's and of every block's output for one image, without the batch axis.

    Stem and blocks run on the meta device with stand-ins for the weights: whatever image size, paddings and strides,
    the shapes are the true ones, and neither weights nor running statistics are touched.
    """
    images = torch.empty(_IMAGES, *anchor.input.size, device="meta")
    shapes: tuple[tuple[int, ...], ...] = run_on_meta(_Walk(anchor), images)
    return shapes


def map_spec(shape: tuple[int, ...], layout: Layout) -> FeatureSpec:
    """Describe a feature map of one image, `(C, H, W)` for `NCHW` and `(H, W, C)` for `NHWC`."""
    channels, height, width = shape if layout == "NCHW" else (shape[2], *shape[:2])
    return FeatureSpec(channels, layout, (height, width))


class _Walk(nn.Module):
    def __init__(self, anchor: Anchor) -> None:
        super().__init__()
        self.anchor = anchor

    def forward(self, images: Tensor) -> tuple[tuple[int, ...], ...]:
        features = self.anchor.stem(images)
        shapes = [tuple(features.shape[1:])]
        for index in range(self.anchor.depth):
            features = self.anchor.block(index, features)
            shapes.append(tuple(features.shape[1:]))
        return tuple(shapes)
