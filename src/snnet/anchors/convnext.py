"""ConvNeXt and ConvNeXt-V2: timm's `ConvNeXt`."""

from timm.models.convnext import ConvNeXt

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.staged import StagedAnchor


@ANCHORS.register("convnext")
class ConvNeXtAnchor(StagedAnchor):
    """A ConvNeXt as stages of depthwise convolution blocks over `(B, C, H, W)`, with strided convolutions between.

    The final norm stands before or after the pooling, as the variant has it.
    """

    models = (ConvNeXt,)
    stem_names = ("stem",)
    last_names = ("norm_pre",)
