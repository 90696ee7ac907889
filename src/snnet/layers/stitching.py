"""The map at a cut: one linear layer over channels, shared by all positions, and the change of layout."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import conv2d

from snnet.layers.lora import LowRankLinear, check_rank
from snnet.layers.positions import check_positions, fit_positions, from_positions, same_positions, to_positions
from snnet.space import FeatureSpec


class StitchingLayer(nn.Module):
    """A 1x1 convolution with bias, written as a linear layer over channels, between feature maps of any layout.

    Args:
        source: Features that the front anchor gives.
        target: Features that the back anchor takes.
        resample: Whether grids may differ by an integer factor, see `fit_positions`.
        lora_rank: Train a low-rank update of this rank in place of the whole map, see `LowRankLinear`.

    Raises:
        AnchorError: If the two maps differ in size, both of which are named, or the rank does not fit.
    """

    def __init__(
        self, source: FeatureSpec, target: FeatureSpec, *, resample: bool = False, lora_rank: int | None = None
    ) -> None:
        super().__init__()
        check_positions(source, target, resample=resample)
        self.source, self.target = source, target
        self.transform = nn.Linear(source.channels, target.channels)
        self.set_lora_rank(lora_rank)

    def set_lora_rank(self, rank: int | None) -> None:
        """Merge the update there is, if any, and begin another one of this rank; None leaves a plain layer."""
        if isinstance(self.transform, LowRankLinear):
            self.transform = self.transform.merged()
        if rank is not None:
            self.transform = LowRankLinear(self.transform, rank)

    def forward(self, features: Tensor) -> Tensor:
        """Map features of the source to features of the target."""
        source, target = self.source, self.target
        if source.layout == target.layout and same_positions(source, target):
            if source.layout == "NCHW":
                return conv2d(features, self._weight()[:, :, None, None], self.transform.bias)
            mapped: Tensor = self.transform(features)
            return mapped
        positions = to_positions(features, source)
        fewer = target.grid[0] * target.grid[1] < source.grid[0] * source.grid[1]
        if fewer:
            positions = self.transform(fit_positions(positions, source, target))
        else:
            positions = fit_positions(self.transform(positions), source, target)
        return from_positions(positions, target)

    def _weight(self) -> Tensor:
        return self.transform.full_weight() if isinstance(self.transform, LowRankLinear) else self.transform.weight

    def extra_repr(self) -> str:
        """Name the two feature maps."""
        return f"{self.source} -> {self.target}"


def set_lora_rank(layers: Sequence[StitchingLayer], rank: int | None) -> None:
    """Do what `StitchingLayer.set_lora_rank` does with all of them or, if one cannot have the rank, with none.

    Raises:
        AnchorError: If a layer has fewer channels than that.
    """
    if rank is not None:
        for layer in layers:
            check_rank(layer.transform, rank)
    for layer in layers:
        layer.set_lora_rank(rank)
