"""Swin transformers: timm's `SwinTransformer` and `SwinTransformerV2`."""

from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.staged import StagedAnchor
from snnet.anchors.timm_input import input_spec
from snnet.space import FeatureSpec, InputSpec


@ANCHORS.register("swin")
class SwinAnchor(StagedAnchor):
    """A Swin transformer as stages of window attention blocks over `(B, H, W, C)`, with patch merging between them."""

    models = (SwinTransformer, SwinTransformerV2)
    stem_names = ("patch_embed",)
    stages_in = "layers"
    last_names = ("norm",)

    @property
    def input(self) -> InputSpec:
        """The images that the model takes; their size is that of its grid of patches."""
        return input_spec(self.model, size=self.model.patch_embed.img_size)

    def feature(self, block: int) -> FeatureSpec:
        """All blocks of a stage have one output; the stem's is that of the first stage before any merging."""
        if block < 0:
            patches = self.model.patch_embed
            height, width = patches.grid_size
            return FeatureSpec(patches.proj.out_channels, "NHWC", (height, width))
        stage = self.model.layers[self.place(block)[0]]
        height, width = stage.output_resolution
        return FeatureSpec(stage.blocks[0].dim, "NHWC", (height, width))
