"""The routes of the published networks once more, and what they compute; nothing is shared with what the tests test.

Source: Pan, Cai and Zhuang, Stitchable Neural Networks, CVPR 2023 (arXiv 2302.06586), with what the published code does
otherwise: DeiT's stitched routes end without the final norm, and layers are dealt out where depths differ. Blocks are
numbered from 0 through all stages of an anchor.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from tests.network.published.reference_levit import Levit
from tests.network.published.reference_models import Deit, ResNet, Swin
from tests.network.published.reference_parts import ReferenceAnchor, Weights


@dataclass(frozen=True)
class Family:
    """Anchors from the smallest, each a class with its depths, and the stages that are stitched.

    Attributes:
        forward_only: Whether a cut must enter a later block of its stage than the one it leaves.
        final_norm: Whether stitched routes end with the final norm of their last anchor.
    """

    anchors: tuple[tuple[type[ReferenceAnchor], tuple[int, ...]], ...]
    stages: tuple[int, ...]
    forward_only: bool = True
    final_norm: bool = True


@dataclass(frozen=True)
class ReferenceCut:
    """From block `leave` of anchor `front` to block `enter` of the next, through the stitching layer of that name."""

    front: int
    leave: int
    enter: int
    layer: str


FAMILIES = {
    "deit_ti_s_b": Family(((Deit, (12,)),) * 3, (0,), forward_only=False, final_norm=False),
    "swin_ti_s_b": Family(((Swin, (2, 2, 6, 2)), (Swin, (2, 2, 18, 2)), (Swin, (2, 2, 18, 2))), (0, 1, 2)),
    "resnet18_50": Family(((ResNet, (2, 2, 2, 2)), (ResNet, (3, 4, 6, 3))), (1, 2)),
    "resnet18_swin_ti": Family(((ResNet, (2, 2, 2, 2)), (Swin, (2, 2, 6, 2))), (1, 2)),
    "levit_192_256": Family(((Levit, (4, 4, 4)),) * 2, (0, 1)),
}


def cuts_of(family: Family) -> Iterator[ReferenceCut]:
    """Yield the cuts of a network in the order of its routes: by stage, then by pair of anchors."""
    depths = [own for _, own in family.anchors]
    for stage in family.stages:
        for front in range(len(depths) - 1):
            here, there = depths[front][stage], depths[front + 1][stage]
            before, before_there = sum(depths[front][:stage]), sum(depths[front + 1][:stage])
            # A network of one stage does not number it.
            path = f"{stage - family.stages[0]}.{front}" if len(family.stages) > 1 else f"{front}"
            found = windows(here, family.forward_only) if here == there else nearest(here, there)
            for leave, enter, layer in found:
                yield ReferenceCut(front, before + leave, before_there + enter, f"stitch_layers.{path}.{layer}")


def windows(depth: int, forward_only: bool) -> list[tuple[int, int, int]]:
    """Blocks left and entered where both anchors are equally deep, and the layer: the first window that has both."""
    first: dict[tuple[int, int], int] = {}
    for window in range(depth - 1):
        for leave in (window, window + 1):
            for enter in (window, window + 1):
                first.setdefault((leave, enter), window)
    return [(*blocks, window) for blocks, window in first.items() if blocks[0] < blocks[1] or not forward_only]


def nearest(here: int, there: int) -> list[tuple[int, int, int]]:
    """Blocks left and entered where depths differ, and the layer; layers are dealt out over the cuts as they come."""
    pairs = [(enter * here // there, enter) for enter in range(there)]
    forward = [(leave, enter) for leave, enter in pairs if leave < enter]
    return [(leave, enter, number * here // there) for number, (leave, enter) in enumerate(forward)]


class ReferenceNetwork:
    """A published network on one batch of images (B, 3, H, W): its routes by id, in order, and their logits."""

    def __init__(self, family: str, state: Mapping[str, Tensor], images: Tensor) -> None:
        self.family, self.images = FAMILIES[family], images
        self.weights = Weights(state)
        self.anchors = [
            kind(self.weights.under(f"anchors.{number}"), depths)
            for number, (kind, depths) in enumerate(self.family.anchors)
        ]
        cuts = {self._id(cut): cut for cut in cuts_of(self.family)}
        self.routes: dict[str, int | ReferenceCut] = {
            **{f"{number}:0-{anchor.depth}": number for number, anchor in enumerate(self.anchors)},
            **cuts,
        }
        self._features: dict[tuple[int, int], Tensor] = {}

    def logits(self, route: str) -> Tensor:
        """Return (B, classes)."""
        way = self.routes[route]
        if isinstance(way, int):
            return self.anchors[way].head(self._features_after(way, self.anchors[way].depth - 1))
        anchor = self.anchors[way.front + 1]
        x = self._stitch(way, self._features_after(way.front, way.leave))
        for number in range(way.enter, anchor.depth):
            x = anchor.block(number, x)
        return anchor.head(x) if self.family.final_norm else anchor.head_without_norm(x)

    def _id(self, cut: ReferenceCut) -> str:
        depth = self.anchors[cut.front + 1].depth
        return f"{cut.front}:0-{cut.leave + 1},{cut.front + 1}:{cut.enter}-{depth}"

    def _features_after(self, anchor: int, block: int) -> Tensor:
        """Run an anchor up to a block, or to its stem at -1, once for all routes that begin so."""
        place = (anchor, block)
        if place not in self._features:
            own = self.anchors[anchor]
            before = None if block < 0 else self._features_after(anchor, block - 1)
            self._features[place] = own.stem(self.images) if before is None else own.block(block, before)
        return self._features[place]

    def _stitch(self, cut: ReferenceCut, x: Tensor) -> Tensor:
        """A linear map of the channels, which the ResNet networks keep as a 1 x 1 convolution."""
        layer = self.weights.under(cut.layer).under("transform")
        channels_last = x.permute(0, 2, 3, 1) if self.anchors[cut.front].channels_first else x
        mapped = channels_last @ layer["weight"].flatten(1).T + layer["bias"]
        return mapped.permute(0, 3, 1, 2) if self.anchors[cut.front + 1].channels_first else mapped
