# Tested in tests/anchors/test_sizes.py.
"""Weights that depend on the image size, resampled for another one as timm does."""

from collections.abc import Callable, Mapping, Sequence
from math import isqrt, prod
from typing import Any

from timm.layers import resample_abs_pos_embed, resize_rel_pos_bias_table
from torch import Tensor, nn
from torch.nn.functional import interpolate

from snnet.errors import AnchorError


def resampled(state: Mapping[str, Tensor], model: nn.Module, usual: nn.Module) -> dict[str, Tensor]:
    """Return weights with position embeddings and biases by relative position as large as a model's.

    What is of another shape for another reason is returned as it is.

    Args:
        state: Weights of the same architecture for images of any size.
        model: Built for the images that are meant.
        usual: The same architecture for the images that the weights were probably trained on; its weights do not
            matter. Of other weights a square grid is assumed.

    Raises:
        AnchorError: If the grid of an embedding or a bias is neither known nor square.
    """
    own = model.state_dict()

    def fit(name: str, tensor: Tensor) -> Tensor:
        place, _, leaf = name.rpartition(".")
        wanted = own.get(name, tensor)
        if leaf not in _RESAMPLERS or wanted.shape == tensor.shape or wanted.ndim != tensor.ndim:
            return tensor
        parts = (each.get_submodule(place) for each in (model, usual))
        try:
            return _RESAMPLERS[leaf](tensor, wanted, *parts)
        except (AssertionError, RuntimeError, ValueError) as error:
            raise AnchorError(
                f"{name} of shape {tuple(tensor.shape)} cannot be resampled to {tuple(wanted.shape)}: {error}; give "
                "weights for square images, or build the model with the weights for its images yourself."
            ) from error

    return {name: fit(name, tensor) for name, tensor in state.items()}


def patch_grid(model: Any) -> Sequence[int] | None:
    """Return rows and columns of patches that a model's position embedding is for; None if it has no such grid."""
    grid: Sequence[int] | None = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    return getattr(model, "tokens_spatial_shape", grid)


def _absolute(tensor: Tensor, wanted: Tensor, model: Any, usual: Any) -> Tensor:
    """Resample embeddings `(1, prefix + H * W, C)` by their grid; what stands before it stays."""
    grid = patch_grid(model)
    if grid is None or tensor.ndim != 3 or tensor.shape[2] != wanted.shape[2]:
        return tensor
    prefix = wanted.shape[1] - prod(grid)
    old = _old_grid(tensor.shape[1] - prefix, patch_grid(usual))
    fitted: Tensor = resample_abs_pos_embed(tensor, list(grid), list(old), num_prefix_tokens=prefix)
    return fitted


def _relative(tensor: Tensor, wanted: Tensor, attention: Any, _: Any) -> Tensor:
    """Resample a table by offsets in both directions within a window, `(offsets, heads)`."""
    fitted: Tensor = resize_rel_pos_bias_table(tensor, attention.window_size, wanted.shape)
    return fitted


def _offsets(tensor: Tensor, _: Tensor, attention: Any, usual: Any) -> Tensor:
    """Resample a table by distances on the grid, `(heads, H * W)`, as timm's `resize_rel_pos_bias_table_levit`."""
    old = _old_grid(tensor.shape[1], usual.resolution)
    maps = tensor.float().reshape(1, len(tensor), *old)
    fitted = interpolate(maps, size=tuple(attention.resolution), mode="bicubic", antialias=True)
    return fitted[0].flatten(1).to(tensor.dtype)


def _old_grid(positions: int, known: Sequence[int] | None) -> tuple[int, int]:
    if known is not None and prod(known) == positions:
        return known[0], known[1]
    side = isqrt(max(positions, 0))
    if side * side != positions:
        raise ValueError(f"{positions} positions are no square")
    return side, side


_RESAMPLERS: dict[str, Callable[[Tensor, Tensor, Any, Any], Tensor]] = {
    "pos_embed": _absolute,
    "relative_position_bias_table": _relative,
    "attention_biases": _offsets,
}
"""By the last part of a weight's name."""
