"""Swin transformers: timm's `SwinTransformer` and `SwinTransformerV2`."""

from collections.abc import Iterable
from typing import Any

from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS, Anchor, run_in_turn
from snnet.anchors.timm_input import input_spec
from snnet.specs import FeatureSpec, InputSpec


@ANCHORS.register("swin")
class SwinAnchor(Anchor):
    """A Swin transformer as stages of window attention blocks over `(B, H, W, C)`, with patch merging between them."""

    model: Any  # timm's stages and blocks have no types of their own

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `SwinTransformer` or `SwinTransformerV2`."""
        return isinstance(model, SwinTransformer | SwinTransformerV2)

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks per stage."""
        return tuple(len(stage.blocks) for stage in self.model.layers)

    @property
    def stages(self) -> tuple[int, ...]:
        """All but the last, as in the published networks."""
        return tuple(range(len(self.depths) - 1))

    @property
    def num_classes(self) -> int:
        """Width of the logits; 0 without a classifier."""
        return int(self.model.num_classes)

    @property
    def input(self) -> InputSpec:
        """The images that the model takes, by timm's own record."""
        patches = self.model.patch_embed
        return input_spec(self.model, channels=patches.proj.in_channels, size=patches.img_size)

    def feature(self, block: int) -> FeatureSpec:
        """All blocks of a stage have one output; the stem's is that of the first stage before any merging."""
        if block < 0:
            patches = self.model.patch_embed
            height, width = patches.grid_size
            return FeatureSpec(patches.proj.out_channels, "NHWC", (height, width))
        stage = self.model.layers[self.place(block)[0]]
        height, width = stage.output_resolution
        return FeatureSpec(stage.blocks[0].dim, "NHWC", (height, width))

    def stem(self, images: Tensor) -> Tensor:
        """Embed patches: `(B, C, H, W)` to `(B, H', W', C')`."""
        features: Tensor = self.model.patch_embed(images)
        return features

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one transformer block, after the patch merging that leads into its stage if it is the first."""
        stage = self.model.layers[self.place(index)[0]]
        recompute = stage.grad_checkpointing and self.training
        return run_in_turn(self.block_modules(index), features, recompute=recompute)

    def head(self, features: Tensor) -> Tensor:
        """Apply the final norm, pooling and the classifier."""
        logits: Tensor = self.model.forward_head(self.model.norm(features))
        return logits

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one transformer block, with its stage's patch merging before the first."""
        number, position = self.place(index)
        stage = self.model.layers[number]
        block = stage.blocks[position]
        return [block] if position else [stage.downsample, block]

    def head_modules(self) -> Iterable[nn.Module]:
        """Return the final norm and the classifier."""
        return [self.model.norm, self.model.head]
