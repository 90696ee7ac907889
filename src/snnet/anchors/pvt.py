"""Pyramid vision transformers: timm's `PyramidVisionTransformerV2`."""

from collections.abc import Iterable, Sequence
from functools import partial

from timm.models.pvt_v2 import PyramidVisionTransformerV2
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS, run_in_turn
from snnet.anchors.timm_anchor import StagedAnchor


@ANCHORS.register("pvt")
class PVTAnchor(StagedAnchor):
    """A PVT v2 as stages of blocks over `(B, H, W, C)`, with a norm and a strided convolution between the stages.

    timm lets a stage end with its norm. Here it begins the way into the next stage, or the head, so that all blocks of
    a stage give features of one kind, and a stitching layer after the last of them maps what it maps after others.

    The last stage is left out by default as in Swin, whose four stages have the same strides: it has the fewest blocks
    and positions, so routes that part only there hardly differ in cost.
    """

    models = (PyramidVisionTransformerV2,)
    layout = "NHWC"
    stem_names = ("patch_embed",)

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one block, after the norm and the strided convolution that lead into its stage if it is the first."""
        *transition, block = self.block_modules(index)
        parts = [partial(_enter, transition)] if transition else []
        return run_in_turn([*parts, partial(_attend, block)], features, recompute=self.recomputes(index))

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one block, with the way into its stage before the first: the norm of the stage before included."""
        number, position = self.place(index)
        stages = self.model.stages
        transition = [] if position or not number else [stages[number - 1].norm, stages[number].downsample]
        return [*transition, stages[number].blocks[position]]

    def head(self, features: Tensor) -> Tensor:
        """Apply the last stage's norm, pooling and the classifier."""
        return super().head(_to_map(self.model.stages[-1].norm(features)))

    def head_modules(self) -> Iterable[nn.Module]:
        """Return the last stage's norm and the classifier."""
        return [self.model.stages[-1].norm, self.model.head]


def _to_map(features: Tensor) -> Tensor:
    return features.permute(0, 3, 1, 2).contiguous()


def _enter(transition: Sequence[nn.Module], features: Tensor) -> Tensor:
    """Run the norm and the strided convolution into a stage: `(B, H, W, C)` to a smaller `(B, H', W', C')`."""
    norm, downsample = transition
    entered: Tensor = downsample(_to_map(norm(features)))
    return entered


def _attend(block: nn.Module, features: Tensor) -> Tensor:
    """Run a block, which wants tokens and is told their grid, over `(B, H, W, C)`."""
    tokens: Tensor = block(features.flatten(1, 2), features.shape[1:3])
    return tokens.reshape(features.shape)
