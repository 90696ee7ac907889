"""The map at a cut: one linear layer over channels, shared by all positions."""

from torch import Tensor, nn

from snnet.errors import AnchorError
from snnet.specs import FeatureSpec


class StitchingLayer(nn.Module):
    """A 1x1 convolution with bias, written as a linear layer over the channels of tokens.

    Args:
        source: Features that the front anchor gives.
        target: Features that the back anchor takes.

    Raises:
        AnchorError: If the two are not maps of one size; both are named.
    """

    def __init__(self, source: FeatureSpec, target: FeatureSpec) -> None:
        super().__init__()
        for field in ("layout", "grid", "prefix_tokens"):
            given, wanted = getattr(source, field), getattr(target, field)
            if given != wanted:
                raise AnchorError(
                    f"{field} is {given} in front and {wanted} behind; choose anchors with the same image "
                    "size, patch size and class, distillation and register tokens."
                )
        self.transform = nn.Linear(source.channels, target.channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(..., C_front)` to `(..., C_back)`."""
        mapped: Tensor = self.transform(features)
        return mapped
