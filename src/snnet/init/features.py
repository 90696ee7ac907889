# Tested in tests/init/test_least_squares.py.
"""Running the anchors for their features."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from snnet.anchors import Anchor
from snnet.errors import AnchorError
from snnet.init.plan import Fits, Node
from snnet.layers import StitchingLayer, fit_positions, same_positions, to_positions
from snnet.network import SNNet
from snnet.utils import fast_linear


def walk(anchors: Sequence[Anchor], order: Sequence[Node], images: Tensor) -> Iterator[tuple[Node, Tensor]]:
    """Yield the rows `(B * N, C)` of each feature in turn; one feature per anchor is alive at a time."""
    current: dict[int, Tensor] = {}
    for node in order:
        anchor, spec = anchors[node.anchor], anchors[node.anchor].feature(node.block)
        if node.fit is None:
            with fast_linear(images.device):
                before = images if node.block < 0 else current[node.anchor]
                current[node.anchor] = anchor.enter(before) if node.block < 0 else anchor.block(node.block, before)
            _check_shape(anchor, node, current[node.anchor])
        positions = to_positions(current[node.anchor], spec)
        if node.fit is not None:
            positions = fit_positions(positions, spec, node.fit)
        yield node, positions.flatten(0, 1)


def _check_shape(anchor: Anchor, node: Node, features: Tensor) -> None:
    spec = anchor.feature(node.block)
    if tuple(features.shape[1:]) != spec.shape:
        where = "the stem" if node.block < 0 else f"block {node.block}"
        raise AnchorError(
            f"{where} of {anchor.name} gives features of shape {tuple(features.shape[1:])}, and "
            f"{type(anchor).__name__}.feature({node.block}) says {spec.shape}: {spec}."
        )


def layer_fits(net: SNNet) -> Fits:
    """Return what the features before a stitching layer must be fitted to, where positions differ."""
    layers = {name: layer for name, layer in net.layers.items() if isinstance(layer, StitchingLayer)}
    return {name: layer.target for name, layer in layers.items() if not same_positions(layer.source, layer.target)}
