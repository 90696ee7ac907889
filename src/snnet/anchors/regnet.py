"""RegNet X, Y, Z and V: every timm `RegNet`."""

from collections.abc import Iterable, Sequence

from timm.models.regnet import RegNet
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.convnet import ConvNetAnchor


@ANCHORS.register("regnet")
class RegNetAnchor(ConvNetAnchor):
    """A RegNet as four stages of bottlenecks; those of strides 8 and 16 are stitched by default, as in ResNets."""

    model: RegNet

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `RegNet`."""
        return isinstance(model, RegNet)

    @property
    def stages(self) -> tuple[int, ...]:
        """The two stages in the middle."""
        return (1, 2)

    @property
    def checkpointing(self) -> bool:
        """Whether blocks keep no activations in training; in RegNets each stage holds the switch."""
        return bool(self.stage_modules()[0].grad_checkpointing)

    def stem_modules(self) -> Sequence[nn.Module]:
        """Return the first convolution with its norm and activation."""
        return [self.model.stem]

    def stage_modules(self) -> Sequence[nn.Module]:
        """Return the four stages."""
        return [self.model.get_submodule(f"s{number}") for number in range(1, 5)]

    def head(self, features: Tensor) -> Tensor:
        """Apply the last convolution, if the variant has one, pooling and the classifier."""
        return super().head(self.model.final_conv(features))

    def head_modules(self) -> Iterable[nn.Module]:
        """Return the last convolution and the classifier."""
        return [self.model.final_conv, self.model.head]
