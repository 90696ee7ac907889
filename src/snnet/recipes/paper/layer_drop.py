"""LayerDrop: one anchor trained with whole blocks dropped at random, and cropped afterwards (arXiv 1909.11556)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from snnet.anchors import Anchor
from snnet.errors import RecipeError
from snnet.network import SNNet
from snnet.recipes.parts import Parts
from snnet.space import FeatureSpec, InputSpec, StitchSpace
from snnet.utils import counted

_TWELFTHS = (2, 3, 4, 6, 8, 10, 12)


class CroppedAnchor(Anchor):
    """Some blocks of an anchor of one stage, sharing its model; in training each is dropped with a probability.

    Args:
        whole: The anchor.
        kept: Numbers of its blocks that are run, in order.
        drop: Probability that a step of training leaves a block out, drawn from torch's global generator.

    Raises:
        RecipeError: If the anchor has several stages, whose transitions cannot be dropped, or `drop` is out of range.
    """

    whole: Anchor

    def __init__(self, whole: Anchor, kept: Sequence[int], drop: float = 0.0) -> None:
        if len(whole.depths) > 1:
            raise RecipeError(
                f"{whole.name} has {counted(len(whole.depths), 'stage')}; LayerDrop here takes anchors of one stage."
            )
        if not 0 <= drop < 1:
            raise RecipeError(f"The probability of dropping a block is {drop}; it must be at least 0 and below 1.")
        super().__init__(whole.model, f"{whole.name}, {len(kept)} of {counted(whole.depth, 'block')}")
        # Past torch, which would list the model a second time.
        self.__dict__["whole"] = whole
        self.kept = tuple(kept)
        self.drop = drop

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:  # noqa: ARG003
        """Accept no model: crops are made of anchors."""
        return False

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks that are kept."""
        return (len(self.kept),)

    @property
    def num_classes(self) -> int:
        """Width of the logits."""
        return self.whole.num_classes

    @property
    def input(self) -> InputSpec:
        """The images that the anchor takes."""
        return self.whole.input

    def feature(self, block: int) -> FeatureSpec:
        """Describe the output of a kept block."""
        return self.whole.feature(self.kept[block] if block >= 0 else -1)

    def stem(self, images: Tensor) -> Tensor:
        """Run the anchor's stem."""
        return self.whole.stem(images)

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run a kept block, or in training with probability `drop` none."""
        if self.training and self.drop and torch.rand(()).item() < self.drop:
            return features
        return self.whole.block(self.kept[index], features)

    def head(self, features: Tensor) -> Tensor:
        """Run the anchor's head."""
        return self.whole.head(features)

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the modules of a kept block."""
        return self.whole.block_modules(self.kept[index])

    def head_modules(self) -> Iterable[nn.Module]:
        """Return the modules of the head."""
        return self.whole.head_modules()

    def stem_parameters(self) -> list[nn.Parameter]:
        """Return the stem's parameters; those of blocks that are left out belong to nothing."""
        return self.whole.stem_parameters()


def evenly_kept(depth: int, count: int) -> tuple[int, ...]:
    """Return the numbers of `count` blocks of `depth`, spread evenly, the first and the last among them."""
    if count == 1:
        return (0,)
    return tuple(round(n * (depth - 1) / (count - 1)) for n in range(count))


def layer_drop_network(anchor: Anchor, drop: float) -> SNNet:
    """Return crops of one anchor as a network of anchors alone; the last is whole and drops blocks in training."""
    counts = dict.fromkeys(max(1, round(anchor.depth * share / 12)) for share in _TWELFTHS)
    crops = [
        CroppedAnchor(anchor, evenly_kept(anchor.depth, count), drop if count == anchor.depth else 0.0)
        for count in counts
    ]
    space = StitchSpace.build([crop.depths for crop in crops]).where(max_segments=1)
    return SNNet(crops, space)


def with_layer_drop(parts: Parts, drop: float) -> Parts:
    """Return the parts with the largest anchor under LayerDrop in place of the network."""
    net = parts.net
    return replace(parts, net=layer_drop_network(net.anchor(len(net.anchors) - 1), drop))
