"""Rows of one feature in one batch, centered; their products; and their mean over all batches."""

from dataclasses import dataclass
from functools import cached_property

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


@dataclass(frozen=True)
class Centered:
    """Rows less a constant near their mean, channel after channel: so products of them need no transposed copies.

    Attributes:
        channels: `(C, n)`, contiguous.
        offset: `(C,)` float64, the mean of every channel.
    """

    channels: Tensor
    offset: Tensor

    @cached_property
    def gram(self) -> Tensor:
        """`channels channels'`, `(C, C)`; right on and above the diagonal only."""
        return upper_gram(self.channels)


class BatchRows:
    """The rows `(n, C)` of one feature in one batch, with their place among the batches before.

    Args:
        rows: The rows; they are copied, as an anchor may go on to change its features in place, and transposed.
        center: `(C,)` float64, a constant near their mean; computed if None.
        both: Whether `at` shall serve float64 as well as the precision of `rows`.

    Attributes:
        mean: `(C,)` float64.
        shift: `(C,)` float64, mean of this batch less the mean of all rows before it.
        weight: `n * before / (n + before)`, what `shift` counts for in a centered product.
    """

    def __init__(self, rows: Tensor, center: Tensor | None = None, *, both: bool = True) -> None:
        self.dtype = torch.promote_types(rows.dtype, torch.float32)
        self._raw = rows.T.to(self.dtype, copy=True, memory_format=torch.contiguous_format)
        self._both = both
        self._center = self._raw.mean(dim=1).double() if center is None else center
        self._centered: dict[torch.dtype, Centered] = {}
        self.mean = self._center.to(self.dtype).double() + self.at(self.dtype).offset
        self.shift = self.mean
        self.weight = 0.0

    def __len__(self) -> int:
        return self._raw.shape[1]

    def at(self, dtype: torch.dtype) -> Centered:
        """Return the rows centered, in float32 or float64."""
        if dtype not in self._centered:
            assert self._both or dtype == self.dtype, "the rows were centered in place"
            channels = self._raw.to(dtype, copy=self._both and dtype == self.dtype)
            channels -= self._center.to(dtype)[:, None]
            self._centered[dtype] = Centered(channels, channels.mean(dim=1).double())
        return self._centered[dtype]

    def refine(self) -> None:
        """Make the mean exact to float64, for features whose narrow directions count."""
        self.mean = self._center + self.at(torch.float64).offset

    def scatter(self) -> Tensor:
        """Return `||rows - mean||^2`, in the precision of the best products formed with these rows."""
        best = self.at(torch.float64 if torch.float64 in self._centered else self.dtype)
        norms: Tensor = torch.linalg.vector_norm(best.channels, dim=1)
        return norms.double().square().sum() - len(self) * (best.offset @ best.offset)


class RunningMean:
    """Mean and total scatter of rows that come in batches, by Chan's formula.

    Raw sums would cancel where a channel's mean dwarfs its spread, as in the outlier channels of transformers.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(())
        self.scatter = 0.0

    def add(self, batch: BatchRows) -> None:
        """Take in the mean of a batch, and tell the batch its shift and weight."""
        total = self.count + len(batch)
        batch.weight = len(batch) * self.count / total
        batch.shift = batch.mean - self.mean if self.count else batch.mean
        self.mean = self.mean + batch.shift * (len(batch) / total) if self.count else batch.mean
        self.count = total

    def add_scatter(self, batch: BatchRows) -> None:
        """Take in the scatter of a batch whose mean was added, once all products with it are formed."""
        self.scatter += float(batch.scatter() + batch.weight * (batch.shift @ batch.shift))
