"""Swin transformers: timm's `SwinTransformer` and `SwinTransformerV2`."""

from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.timm_anchor import StagedAnchor


@ANCHORS.register("swin")
class SwinAnchor(StagedAnchor):
    """A Swin transformer as stages of window attention blocks over `(B, H, W, C)`, with patch merging between them."""

    models = (SwinTransformer, SwinTransformerV2)
    layout = "NHWC"
    stem_names = ("patch_embed",)
    stages_in = "layers"
    last_names = ("norm",)
