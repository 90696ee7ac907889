"""ConvNeXt and ConvNeXt-V2: timm's `ConvNeXt`."""

from collections.abc import Iterable, Sequence
from typing import Any

from timm.models.convnext import ConvNeXt
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.staged import StagedAnchor


@ANCHORS.register("convnext")
class ConvNeXtAnchor(StagedAnchor):
    """A ConvNeXt as stages of depthwise convolution blocks over `(B, C, H, W)`, with strided convolutions between."""

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `ConvNeXt`."""
        return isinstance(model, ConvNeXt)

    def stage_modules(self) -> Sequence[Any]:
        """Return the stages, each with the norm and the strided convolution before it."""
        return list(self.model.stages)

    def stem(self, images: Tensor) -> Tensor:
        """Run the convolutions and the norm of the stem: `(B, C, H, W)` to `(B, C', H', W')`."""
        features: Tensor = self.model.stem(images)
        return features

    def head(self, features: Tensor) -> Tensor:
        """Apply pooling, the final norm and the classifier, in the order that the variant has."""
        return super().head(self.model.norm_pre(features))

    def head_modules(self) -> Iterable[nn.Module]:
        """Return the final norm, as far as it stands before the pooling, and the head."""
        return [self.model.norm_pre, self.model.head]
