"""Centered products of rows: which precision each needs, and adding them up in float64."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from snnet.init.rows import BatchRows, mirrored, product_over_rows

INFLATION_LIMIT = 1e3
"""Mean variance inflation factor of a front feature's channels up to which products are formed in float32.

A product of float32 rows errs by some 1e-8 of the norms of its columns. Through the normal equations that raises the
squared relative residual by about `(1e-8)^2 * channels * inflation`: at this limit and 1,000 channels by 1e-10, which
does not show unless the residual itself is tiny. ViTs have factors of 2 to 50.
"""

PRODUCT_ERROR = 4e-6
"""Relative error of a sum of squares beyond which a matrix product was not float32; TF32 errs by 1e-5 and more."""


class ProductSum:
    """Running sum of `(A_1 + ...)' (B_1 + ...)` over the centered rows of all batches, in float64.

    Attributes:
        total: `(C_front, C_back)`; where both sides are one feature, right on and above the diagonal only.
    """

    def __init__(self) -> None:
        self.total: Tensor | None = None

    def add(self, fronts: Sequence[BatchRows], backs: Sequence[BatchRows], dtype: torch.dtype) -> None:
        """Take in a batch; its product is formed in `dtype`."""
        a, b = _Side.sum_of(fronts, dtype), _Side.sum_of(backs, dtype)
        same = a.channels is b.channels
        product = fronts[0].at(dtype).gram if same else product_over_rows(a.channels, b.channels)
        self.total = product.to(torch.float64, copy=True) if self.total is None else self.total.add_(product)
        # From the constants that were subtracted to the batch's mean, and from there to the mean of all batches.
        weights = a.shift.new_tensor([[-len(fronts[0])], [fronts[0].weight]])
        self.total.addmm_(torch.stack([a.offset, a.shift], dim=1), weights * torch.stack([b.offset, b.shift]))


class _Side(NamedTuple):
    """One side of a product, summed over features."""

    channels: Tensor
    offset: Tensor
    shift: Tensor

    @classmethod
    def sum_of(cls, batches: Sequence[BatchRows], dtype: torch.dtype) -> "_Side":
        sides = [cls(batch.at(dtype).channels, batch.at(dtype).offset, batch.shift) for batch in batches]
        return reduce(lambda x, y: cls(x.channels + y.channels, x.offset + y.offset, x.shift + y.shift), sides)


def choose_dtype(front: BatchRows) -> torch.dtype:
    """Return the precision that products with this feature need, from one batch of it.

    Float32 costs half as much. It must be shown to suffice: enough rows to tell, no channel without variation, none
    that the others nearly determine, and matrix products that really are float32 (not TF32 or bfloat16).
    """
    if front.dtype != torch.float32:
        return torch.float64
    centered = front.at(torch.float32)
    squares = centered.channels.square().sum(dim=1, dtype=torch.float64)
    if len(front) < 2 * len(squares) or not bool((squares > 0).all()):
        return torch.float64
    scale = squares.rsqrt().float()
    factor, failed = torch.linalg.cholesky_ex(mirrored(centered.gram) * torch.outer(scale, scale))
    if bool(failed) or float((centered.gram.diagonal() / squares - 1).abs().max()) > PRODUCT_ERROR:
        return torch.float64
    inflation = float(torch.cholesky_inverse(factor).diagonal().mean())
    return torch.float32 if inflation <= INFLATION_LIMIT else torch.float64
