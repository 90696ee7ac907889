"""Networks of inverted residuals: every timm `EfficientNet` and `MobileNetV3`.

The first class is also MobileNetV2, MnasNet, MixNet, FBNet and TinyNet, the second MobileNetV4, LCNet and HardCoRe-NAS.
"""

from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.timm_anchor import TimmAnchor


@ANCHORS.register("efficientnet")
class EfficientNetAnchor(TimmAnchor):
    """An EfficientNet, whose head begins with a convolution before pooling; all stages are stitched by default.

    Within a stage all outputs have one width and one size.
    """

    models = (EfficientNet,)
    stem_names = ("conv_stem", "bn1")
    stages_in = "blocks"
    last_names = ("conv_head", "bn2")
    head_names = ("global_pool", "classifier")


@ANCHORS.register("mobilenetv3")
class MobileNetV3Anchor(TimmAnchor):
    """A MobileNetV3, whose head pools before its convolution; all stages are stitched by default."""

    models = (MobileNetV3,)
    stem_names = ("conv_stem", "bn1")
    stages_in = "blocks"
    head_names = ("global_pool", "conv_head", "norm_head", "act2", "classifier")
