"""Types of number by the names that people write: `fp32`, `bf16`, `fp16`."""

from typing import TYPE_CHECKING, Literal, get_args

from snnet.errors import RecipeError

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "fp16"]
_NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "fp64": "float64"}
"""Names that people write -> those of torch and numpy. Nobody asks for fp64, but a network may have it."""


def check_precision(precision: str, device: "torch.device | str | None" = None) -> None:
    """Refuse what is no precision, and what a device does not compute in.

    Args:
        precision: The name.
        device: Where mixed precision is wanted; None asks for the name alone.

    Raises:
        RecipeError: If there is no such precision, or not there.
    """
    if precision not in get_args(Precision):
        raise RecipeError(f"Precision {precision!r} is unknown; accepted: {', '.join(get_args(Precision))}.")
    if precision == "fp16" and str(device).partition(":")[0] == "cpu":
        raise RecipeError("Precision fp16 needs a GPU, and on a CPU it would silently be fp32; use bf16 or fp32.")


def torch_dtype(precision: str) -> "torch.dtype":
    """Return torch's type of number.

    Raises:
        RecipeError: If there is none of this name.
    """
    import torch

    if precision not in _NAMES:
        check_precision(precision)
    dtype: torch.dtype = getattr(torch, _NAMES[precision])
    return dtype


def precision_of(dtype: "torch.dtype | str") -> str:
    """Return the name of a type of torch's, given or named (`torch.float32`, `float32`); its own where it has none."""
    name = str(dtype).removeprefix("torch.")
    return next((short for short, long in _NAMES.items() if long == name), name)
