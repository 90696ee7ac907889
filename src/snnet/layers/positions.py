# Tested in tests/layers/test_stitching.py.
"""Feature maps of any layout as positions by channels, and the positions of one map made to fit another.

A stitching layer is one linear map for all positions, so it does not matter whether positions are averaged or
repeated before it or after it: means commute with affine maps.
"""

from torch import Tensor, cat, nn

from snnet.errors import AnchorError
from snnet.space import FeatureSpec


def to_positions(features: Tensor, spec: FeatureSpec) -> Tensor:
    """Return features of any layout as `(B, prefix_tokens + H * W, C)`, a view where that is possible."""
    if spec.layout == "tokens":
        return features
    return features.flatten(1, 2) if spec.layout == "NHWC" else features.flatten(2).transpose(1, 2)


def from_positions(positions: Tensor, spec: FeatureSpec) -> Tensor:
    """Return `(B, prefix_tokens + H * W, C)` in the layout of `spec`."""
    if spec.layout == "tokens":
        return positions
    # The size of the batch from the shape: `len` would fix it in an exported graph.
    if spec.layout == "NHWC":
        return positions.reshape(positions.shape[0], *spec.grid, -1)
    return positions.transpose(1, 2).reshape(positions.shape[0], -1, *spec.grid)


class MapOf(nn.Module):
    """From features of any layout to the map `(B, C, H, W)`, without the tokens before the grid.

    Args:
        spec: The features.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, features: Tensor) -> Tensor:
        """Return the map."""
        return map_of(features, self.spec)


def map_of(features: Tensor, spec: FeatureSpec) -> Tensor:
    """Return features as a map `(B, C, H, W)`, without the tokens before the grid."""
    if spec.layout == "NCHW":
        return features
    if spec.layout == "NHWC":
        return features.permute(0, 3, 1, 2)
    grid = features[:, spec.prefix_tokens :]
    return grid.transpose(1, 2).reshape(grid.shape[0], -1, *spec.grid)


def fit_positions(positions: Tensor, source: FeatureSpec, target: FeatureSpec) -> Tensor:
    """Return the positions of `source` as many as `target` has: `(B, N_source, C)` to `(B, N_target, C)`.

    Tokens before the grid are matched in order, class token first. Those that `target` lacks are dropped; for those
    that `source` lacks the mean of its grid stands in. Where the grids differ, squares of positions are averaged,
    or positions repeated (nearest neighbor).
    """
    if same_positions(source, target):
        return positions
    prefix, grid = positions[:, : source.prefix_tokens], positions[:, source.prefix_tokens :]
    missing = target.prefix_tokens - source.prefix_tokens
    if missing > 0:
        prefix = cat([prefix, grid.mean(dim=1, keepdim=True).expand(-1, missing, -1)], dim=1)
    return cat([prefix[:, : target.prefix_tokens], _resample(grid, source.grid, target.grid)], dim=1)


def same_positions(source: FeatureSpec, target: FeatureSpec) -> bool:
    """Tell whether two feature maps have the same positions, whatever their channels and layouts."""
    return (source.grid, source.prefix_tokens) == (target.grid, target.prefix_tokens)


def check_positions(source: FeatureSpec, target: FeatureSpec, *, resample: bool) -> None:
    """Refuse two feature maps that no stitching layer joins.

    Raises:
        AnchorError: If the grids differ, and not by an integer factor that `resample` allows.
    """
    if source.grid == target.grid:
        return
    (height, width), (wanted_height, wanted_width) = source.grid, target.grid
    grids = f"grid is {height}x{width} in front and {wanted_height}x{wanted_width} behind"
    if _factor(source.grid, target.grid) is None and _factor(target.grid, source.grid) is None:
        raise AnchorError(f"{grids}, not a whole number of times; choose anchors with the same image and patch size.")
    if not resample:
        raise AnchorError(
            f"{grids}; choose anchors with the same image and patch size, or let stitching layers resample: "
            "resample=True, --resample (averages squares of positions, or repeats positions)."
        )


def _resample(grid: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Average or repeat positions: `(B, H * W, C)` to `(B, H' * W', C)`."""
    if source == target:
        return grid
    if (shrink := _factor(source, target)) is not None:
        squares = grid.reshape(grid.shape[0], target[0], shrink[0], target[1], shrink[1], -1)
        return squares.mean(dim=(2, 4)).flatten(1, 2)
    grow = _factor(target, source)
    assert grow is not None, "checked when the layer was made"
    rows = grid.reshape(grid.shape[0], *source, -1).repeat_interleave(grow[0], dim=1)
    return rows.repeat_interleave(grow[1], dim=2).flatten(1, 2)


def _factor(larger: tuple[int, int], smaller: tuple[int, int]) -> tuple[int, int] | None:
    """Return how many times `smaller` fits into `larger` along each axis; None if it does not."""
    if any(a % b for a, b in zip(larger, smaller, strict=True)):
        return None
    return larger[0] // smaller[0], larger[1] // smaller[1]
