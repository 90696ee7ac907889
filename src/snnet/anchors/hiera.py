"""Hiera: timm's `Hiera` over images, a hierarchical ViT of plain blocks."""

from functools import cached_property, partial
from itertools import pairwise
from typing import Any

from timm.models.hiera import Hiera, Unroll
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS, AnchorSource, run_in_turn
from snnet.anchors.images import input_spec
from snnet.anchors.timm_anchor import TimmAnchor
from snnet.errors import AnchorError
from snnet.space import InputSpec


@ANCHORS.register("hiera")
class HieraAnchor(TimmAnchor):
    """A Hiera as stages of blocks over `(B, H, W, C)`; the first block of a stage pools and widens.

    timm orders the tokens by mask units once, and its blocks pool and attend in that order. Features of that order are
    no map, and joined to another family's, or to those of other mask units, they would be wrong without a sign.
    So every block here takes and gives rows and columns, and orders the tokens for itself: a permutation, which
    changes no value.

    Raises:
        AnchorError: If the model drops other mask units for each batch in training, of which no map is left.
    """

    model: Hiera
    layout = "NHWC"

    def __init__(self, model: nn.Module, name: str, source: AnchorSource | None = None) -> None:
        super().__init__(model, name, source)
        if self.model.patch_drop_rate > 0:
            raise AnchorError(
                f"{name} drops mask units in training (patch_drop_rate={self.model.patch_drop_rate}), and what is left "
                "is no map that another model could go on with; build it with patch_drop_rate=0."
            )

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `Hiera` over images; those over video have three axes."""
        return isinstance(model, Hiera) and len(model.tokens_spatial_shape) == 2

    def stage_modules(self) -> list[Any]:
        """Return the stages, in order, which timm keeps as one list of blocks."""
        return [self.model.blocks[last + 1 : end + 1] for last, end in pairwise([-1, *self.model.stage_ends])]

    @property
    def stages(self) -> tuple[int, ...]:
        """Those of several blocks, but not the last, as in Swin, which has the same strides.

        The smaller models begin with a stage of one block, and no route parts within it.
        """
        return tuple(stage for stage, depth in enumerate(self.depths[:-1]) if depth > 1)

    @property
    def input(self) -> InputSpec:
        """The images that the model takes; their size is that of its grid of patches."""
        sides = zip(self.model.tokens_spatial_shape, self.model.patch_stride, strict=True)
        return input_spec(self.model, size=[count * stride for count, stride in sides])

    def stem(self, images: Tensor) -> Tensor:
        """Embed patches and add positions: `(B, C, H, W)` to `(B, H', W', C')`."""
        tokens: Tensor = self.model._pos_embed(self.model.patch_embed(images))
        return tokens.reshape(tokens.shape[0], *self.model.tokens_spatial_shape, -1)

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one block over tokens in the order that it needs."""
        return run_in_turn([partial(self._attend, index)], features, recompute=self.recomputes(index))

    def head(self, features: Tensor) -> Tensor:
        """Apply pooling, the final norm and the classifier."""
        return super().head(features.flatten(1, 2))

    def _attend(self, index: int, features: Tensor) -> Tensor:
        tokens = self._orders[index](features.flatten(1, 2))
        grid: Tensor = self.model.reroll(self.model.blocks[index](tokens), index)
        return grid

    @cached_property
    def _orders(self) -> tuple[Unroll, ...]:
        """For each block what puts rows and columns into its order, which is that of the block before it."""
        planned = [self.model.reroll.schedule[max(index - 1, 0)] for index in range(self.depth)]
        return tuple(Unroll(tuple(size), (1, 1), strides) for strides, size in planned)
