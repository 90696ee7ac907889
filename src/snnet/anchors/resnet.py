"""Residual networks: every timm `ResNet`, with ResNeXt, Wide ResNet, SE and ECA variants and deep stems."""

from collections.abc import Iterable, Sequence

from timm.models.resnet import ResNet
from torch import nn

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.convnet import ConvNetAnchor


@ANCHORS.register("resnet")
class ResNetAnchor(ConvNetAnchor):
    """A ResNet as four stages of residual blocks; those of strides 8 and 16 are stitched by default."""

    model: ResNet

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `ResNet` that is stem, stages and classifier and nothing else."""
        return isinstance(model, ResNet) and type(model).forward_features is ResNet.forward_features

    @property
    def stages(self) -> tuple[int, ...]:
        """The two stages in the middle, as in the paper."""
        return (1, 2)

    def stem_modules(self) -> Sequence[nn.Module]:
        """Return the first convolutions, norm, activation and pooling."""
        model = self.model
        return [model.conv1, model.bn1, model.act1, model.maxpool]

    def stage_modules(self) -> Sequence[nn.Module]:
        """Return the four layers."""
        return [self.model.get_submodule(f"layer{number}") for number in range(1, 5)]

    def head_modules(self) -> Iterable[nn.Module]:
        """Return pooling and the classifier."""
        return [self.model.global_pool, self.model.fc]
