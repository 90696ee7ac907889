"""Networks of inverted residuals: every timm `EfficientNet` and `MobileNetV3`.

The first class is also MobileNetV2, MnasNet, MixNet, FBNet and TinyNet, the second MobileNetV4, LCNet and HardCoRe-NAS.
"""

from collections.abc import Iterable, Sequence

from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.convnet import ConvNetAnchor


class _InvertedResidualAnchor(ConvNetAnchor):
    """A network with a `Sequential` of stages of blocks; all stages are stitched by default."""

    model: EfficientNet | MobileNetV3

    def stem_modules(self) -> Sequence[nn.Module]:
        """Return the first convolution with its norm and activation."""
        return [self.model.conv_stem, self.model.bn1]

    def stage_modules(self) -> Sequence[nn.Module]:
        """Return the stages; within one, all outputs have one width and one size."""
        return list(self.model.blocks)


@ANCHORS.register("efficientnet")
class EfficientNetAnchor(_InvertedResidualAnchor):
    """An EfficientNet, whose head begins with a convolution before pooling."""

    model: EfficientNet

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `EfficientNet`."""
        return isinstance(model, EfficientNet)

    def head(self, features: Tensor) -> Tensor:
        """Apply the last convolution with its norm, pooling and the classifier."""
        return super().head(self.model.bn2(self.model.conv_head(features)))

    def head_modules(self) -> Iterable[nn.Module]:
        """Return the last convolution, its norm, pooling and the classifier."""
        model = self.model
        return [model.conv_head, model.bn2, model.global_pool, model.classifier]


@ANCHORS.register("mobilenetv3")
class MobileNetV3Anchor(_InvertedResidualAnchor):
    """A MobileNetV3, whose head pools before its convolution."""

    model: MobileNetV3

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `MobileNetV3`."""
        return isinstance(model, MobileNetV3)

    def head_modules(self) -> Iterable[nn.Module]:
        """Return pooling, the convolution after it, and the classifier."""
        model = self.model
        return [model.global_pool, model.conv_head, model.norm_head, model.act2, model.classifier]
