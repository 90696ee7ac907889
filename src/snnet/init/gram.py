"""Products of channels over rows, and Gram matrices of which one half is computed."""

import torch
from torch import Tensor

from snnet.utils import fast_product, has_fast_linear

PANELS = 3
"""Row blocks of a Gram matrix; those below the diagonal are not computed."""


def product_over_rows(a: Tensor, b: Tensor) -> Tensor:
    """Return `a b'`, `(C_a, C_b)`, of channels `(C_a, n)` and `(C_b, n)`, in their precision."""
    narrow = a.dtype == torch.float32 and has_fast_linear(a.device)
    return fast_product(a, b) if narrow else a @ b.T


def upper_gram(channels: Tensor) -> Tensor:
    """Return `channels channels'`, right on and above the diagonal; below it parts are missing."""
    width = len(channels)
    panel = -(-width // PANELS)
    gram = channels.new_zeros(width, width)
    for start in range(0, width, panel):
        gram[start : start + panel, start:] = product_over_rows(channels[start : start + panel], channels[start:])
    return gram


def mirrored(upper: Tensor) -> Tensor:
    """Return the symmetric matrix with this upper triangle."""
    return upper.triu() + upper.triu(1).T
