"""Families of convolutional networks: ResNet, RegNet, EfficientNet, MobileNetV3 and ConvNeXt, with their kin."""

from timm.models.convnext import ConvNeXt
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.regnet import RegNet
from timm.models.resnet import ResNet
from torch import nn

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.timm_anchor import StagedAnchor, TimmAnchor


@ANCHORS.register("resnet")
class ResNetAnchor(TimmAnchor):
    """A ResNet, ResNeXt or Wide ResNet, with SE, ECA or neither, as four stages of residual blocks.

    The two stages in the middle, of strides 8 and 16, are stitched by default, as in the paper. Strides, and the
    shortcuts that follow them, stand inside the first block of a stage.
    """

    stem_names = ("conv1", "bn1", "act1", "maxpool")
    stage_names = ("layer1", "layer2", "layer3", "layer4")
    stitched = slice(1, 3)
    head_names = ("global_pool", "fc")

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `ResNet` that is stem, stages and classifier and nothing else."""
        return isinstance(model, ResNet) and type(model).forward_features is ResNet.forward_features


@ANCHORS.register("regnet")
class RegNetAnchor(TimmAnchor):
    """A RegNet X, Y, Z or V as four stages of bottlenecks; stitched by default as ResNets are."""

    models = (RegNet,)
    stem_names = ("stem",)
    stage_names = ("s1", "s2", "s3", "s4")
    stitched = slice(1, 3)
    last_names = ("final_conv",)


@ANCHORS.register("efficientnet")
class EfficientNetAnchor(TimmAnchor):
    """An EfficientNet, MobileNetV2, MnasNet, MixNet, FBNet or TinyNet, whose head begins with a convolution.

    Within a stage all outputs have one width and one size.
    """

    models = (EfficientNet,)
    stem_names = ("conv_stem", "bn1")
    stages_in = "blocks"
    last_names = ("conv_head", "bn2")
    head_names = ("global_pool", "classifier")


@ANCHORS.register("mobilenetv3")
class MobileNetV3Anchor(TimmAnchor):
    """A MobileNetV3, MobileNetV4, LCNet or HardCoRe-NAS, whose head pools before its convolution."""

    models = (MobileNetV3,)
    stem_names = ("conv_stem", "bn1")
    stages_in = "blocks"
    head_names = ("global_pool", "conv_head", "norm_head", "act2", "classifier")


@ANCHORS.register("convnext")
class ConvNeXtAnchor(StagedAnchor):
    """A ConvNeXt of either version as stages of depthwise convolution blocks, with strided convolutions between.

    The final norm stands before or after the pooling, as the variant has it.
    """

    models = (ConvNeXt,)
    stem_names = ("stem",)
    last_names = ("norm_pre",)
