"""Centered products of rows: which precision each needs, and adding them up in float64."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from snnet.fast_linear import fast_product, has_fast_linear
from snnet.init.rows import BatchRows

PANELS = 6
"""Column blocks of a Gram matrix; those below the diagonal are not computed."""

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
        product = upper_gram(a.rows) if a.rows is b.rows else transposed_product(a.rows, b.rows)
        if self.total is None:
            self.total = torch.zeros_like(product, dtype=torch.float64)
        self.total += product
        # From the constants that were subtracted to the batch's mean, and from there to the mean of all batches.
        weights = a.shift.new_tensor([[-len(a.rows)], [fronts[0].weight]])
        self.total.addmm_(torch.stack([a.offset, a.shift], dim=1), weights * torch.stack([b.offset, b.shift]))


class _Side(NamedTuple):
    """One side of a product, summed over features."""

    rows: Tensor
    offset: Tensor
    shift: Tensor

    @classmethod
    def sum_of(cls, batches: Sequence[BatchRows], dtype: torch.dtype) -> "_Side":
        sides = [cls(batch.at(dtype).rows, batch.at(dtype).offset, batch.shift) for batch in batches]
        return reduce(lambda x, y: cls(x.rows + y.rows, x.offset + y.offset, x.shift + y.shift), sides)


def choose_dtype(front: BatchRows) -> torch.dtype:
    """Return the precision that products with this feature need, from one batch of it.

    Float32 costs half as much. It must be shown to suffice: enough rows to tell, no channel without variation, none
    that the others nearly determine, and matrix products that really are float32 (not TF32 or bfloat16).
    """
    if front.dtype != torch.float32:
        return torch.float64
    rows = front.at(torch.float32).rows
    rows = rows[:: max(1, len(rows) // (2 * rows.shape[1]))]
    gram = mirrored(upper_gram(rows))
    squares = rows.square().sum(dim=0)
    if len(rows) < 2 * len(gram) or not bool((squares > 0).all()):
        return torch.float64
    factor, failed = torch.linalg.cholesky_ex(gram / torch.outer(squares.sqrt(), squares.sqrt()))
    if bool(failed) or float((gram.diagonal() / squares - 1).abs().max()) > PRODUCT_ERROR:
        return torch.float64
    inflation = float(torch.cholesky_inverse(factor).diagonal().mean())
    return torch.float32 if inflation <= INFLATION_LIMIT else torch.float64


def upper_gram(rows: Tensor) -> Tensor:
    """Return `rows' rows`, right on and above the diagonal; below it parts are missing."""
    width = rows.shape[1]
    panel = -(-width // PANELS)
    gram = rows.new_zeros(width, width)
    for start in range(0, width, panel):
        gram[start : start + panel, start:] = transposed_product(rows[:, start : start + panel], rows[:, start:])
    return gram


def transposed_product(a: Tensor, b: Tensor) -> Tensor:
    """Return `a' b`, `(C_a, C_b)`, of rows `(n, C_a)` and `(n, C_b)`, in their precision."""
    narrow = a.dtype == torch.float32 and has_fast_linear(a.device)
    return fast_product(a.contiguous().T, b.contiguous().T) if narrow else a.T @ b


def mirrored(upper: Tensor) -> Tensor:
    """Return the symmetric matrix with this upper triangle."""
    return upper.triu() + upper.triu(1).T
