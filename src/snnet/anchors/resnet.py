"""Residual networks: every timm `ResNet`, with ResNeXt, Wide ResNet, SE and ECA variants and deep stems."""

from timm.models.resnet import ResNet
from torch import nn

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.timm_anchor import TimmAnchor


@ANCHORS.register("resnet")
class ResNetAnchor(TimmAnchor):
    """A ResNet as four stages of residual blocks; those of strides 8 and 16 are stitched by default.

    Strides, and the shortcuts that follow them, stand inside the first block of a stage.
    """

    stem_names = ("conv1", "bn1", "act1", "maxpool")
    stage_names = ("layer1", "layer2", "layer3", "layer4")
    head_names = ("global_pool", "fc")

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `ResNet` that is stem, stages and classifier and nothing else."""
        return isinstance(model, ResNet) and type(model).forward_features is ResNet.forward_features

    @property
    def stages(self) -> tuple[int, ...]:
        """The two stages in the middle, as in the paper."""
        return (1, 2)
