"""What dense heads share: norms of the maps, a pyramid of them, and the way to image size."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torch.nn.functional import interpolate

from snnet.errors import HeadError
from snnet.space import MapSpec

_LEVELS = 4


class DenseHead(nn.Module, ABC):
    """Normalizes maps over their channels, decodes them, and resizes the result to image size.

    Maps are taken before the final norm of an anchor, where their scale is large, and differs from route to route; a
    norm at each position makes it one. No dense head here holds a batch norm, for routes with other statistics share
    it.

    Args:
        maps: What the maps are, in their order.
    """

    def __init__(self, maps: Sequence[MapSpec]) -> None:
        super().__init__()
        self.reduction = maps[0].reduction
        self.norms = nn.ModuleList(LayerNorm2d(spec.channels) for spec in maps)

    @abstractmethod
    def decode(self, maps: list[Tensor]) -> Tensor:
        """Turn normalized maps `(B, C_k, H_k, W_k)` into outputs `(B, outputs, h, w)` on any grid."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Turn maps `(B, C_k, H_k, W_k)` into outputs `(B, outputs, H, W)` at the size of the images."""
        decoded = self.decode([norm(each) for norm, each in zip(self.norms, maps, strict=True)])
        height, width = (side * self.reduction for side in maps[0].shape[2:])
        return resized(decoded, (height, width))


class Pyramid(nn.Module):
    """Makes four maps, each half as fine as the one before it, of other maps.

    Maps of one reduction `r`, such as those of plain ViTs, become maps of `r / 4`, `r / 2`, `r` and `2 r` by transposed
    convolutions and pooling (ViTDet, arXiv 2203.16527), where there are not four of them each of the one nearest in
    depth. Of maps that halve already, the last of each size where there are several, the last four stay, and what is
    missing is pooled from the last.

    Args:
        maps: What the maps are, in their order.

    Attributes:
        channels: Widths of the four maps.
        reductions: Pixels of the image for each of their positions, along an axis; of equal maps not always whole.

    Raises:
        HeadError: If the reductions neither are equal nor double from size to size.
    """

    def __init__(self, maps: Sequence[MapSpec]) -> None:
        super().__init__()
        widths, count = [spec.channels for spec in maps], len(maps)
        if is_flat(maps):
            finest: float = maps[0].reduction / 4
            self.sources = [-(-(level + 1) * count // _LEVELS) - 1 for level in range(_LEVELS)]
            levels: Sequence[Callable[[int], tuple[nn.Module, int]]] = [_finer_twice, _finer, _same, _coarser]
        else:
            last = {spec.reduction: number for number, spec in enumerate(maps)}
            check_doubling([maps[number] for number in last.values()])
            kept = list(last.values())[-_LEVELS:]
            finest, missing = maps[kept[0]].reduction, _LEVELS - len(kept)
            self.sources = kept + [kept[-1]] * missing
            levels = [_same] * len(kept) + [partial(_coarser, times=2 ** (n + 1)) for n in range(missing)]
        self.reductions = tuple(finest * 2**level for level in range(_LEVELS))
        made = [make(widths[source]) for make, source in zip(levels, self.sources, strict=True)]
        self.levels = nn.ModuleList(level for level, _ in made)
        self.channels = tuple(width for _, width in made)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Turn the maps into four, `(B, channels[k], H_k, W_k)`."""
        return [level(maps[source]) for level, source in zip(self.levels, self.sources, strict=True)]


def is_flat(maps: Sequence[MapSpec]) -> bool:
    """Tell whether all maps have one reduction, as those of plain ViTs."""
    return len({spec.reduction for spec in maps}) == 1


def check_doubling(maps: Sequence[MapSpec]) -> None:
    """Refuse maps of which one is not half as fine as the one before it.

    Raises:
        HeadError: With the reductions.
    """
    reductions = [spec.reduction for spec in maps]
    if any(after != 2 * before for before, after in pairwise(reductions)):
        raise HeadError(
            f"The maps have reductions {', '.join(map(str, reductions))}; accepted: one reduction for all, or each "
            "twice that of the map before it. Give one map for each size, or take the head 'linear', which reads any."
        )


def resized(features: Tensor, size: Sequence[int]) -> Tensor:
    """Return a map `(B, C, h, w)` with another height and width, bilinear.

    Args:
        features: The map.
        size: Height and width that are wanted.
    """
    if tuple(features.shape[2:]) == tuple(size):
        return features
    return interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)


def without_batch_norms(module: nn.Module) -> nn.Module:
    """Replace the batch norms within a module by group norms, of up to 32 groups of at least 8 channels.

    What a batch norm has seen depends on the route, and a head serves all routes.
    """
    for name, child in module.named_modules():
        if isinstance(child, nn.BatchNorm2d):
            width = child.num_features
            groups = next(n for n in range(min(32, max(width // 8, 1)), 0, -1) if width % n == 0)
            module.set_submodule(name, nn.GroupNorm(groups, width))
    return module


def _same(width: int) -> tuple[nn.Module, int]:
    return nn.Identity(), width


def _coarser(width: int, times: int = 2) -> tuple[nn.Module, int]:
    # Rounded up, so that something is left of a single position.
    return nn.MaxPool2d(times, ceil_mode=True), width


def _finer(width: int) -> tuple[nn.Module, int]:
    half = max(width // 2, 1)
    return nn.ConvTranspose2d(width, half, 2, stride=2), half


def _finer_twice(width: int) -> tuple[nn.Module, int]:
    first, half = _finer(width)
    second, quarter = _finer(half)
    return nn.Sequential(first, LayerNorm2d(half), nn.GELU(), second), quarter
