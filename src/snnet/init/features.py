"""Running the anchors for their features."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from snnet.anchors import Anchor, FeatureSpec
from snnet.errors import AnchorError
from snnet.init.plan import Node
from snnet.network import SNNet


def walk(anchors: Sequence[Anchor], order: Sequence[Node], images: Tensor) -> Iterator[tuple[Node, Tensor]]:
    """Yield the rows `(B * N, C)` of each feature in turn; one feature per anchor is alive at a time."""
    current: dict[int, Tensor] = {}
    for node in order:
        anchor = anchors[node.anchor]
        if node.block < 0:
            current[node.anchor] = anchor.stem(images)
        else:
            current[node.anchor] = anchor.block(node.block, current[node.anchor])
        yield node, current[node.anchor].flatten(0, -2)


def check_sizes(net: SNNet) -> None:
    """Refuse cuts whose two feature maps differ in size.

    Raises:
        AnchorError: If one does; both sizes are named.
    """
    for cut in (cut for layer in net.space.layers for cut in layer.cuts):
        front, back = net.anchor(cut.front), net.anchor(cut.back)
        given, taken = front.feature(cut.leave), back.feature(cut.enter - 1)
        if (given.grid, given.prefix_tokens) != (taken.grid, taken.prefix_tokens):
            raise AnchorError(
                f"The cut {cut} joins feature maps of different sizes: {front.name} gives {_size(given)}, "
                f"{back.name} takes {_size(taken)}; choose anchors with the same image and patch size."
            )


def _size(feature: FeatureSpec) -> str:
    height, width = feature.grid
    return f"{height}x{width} positions with {feature.prefix_tokens} tokens before them"
