"""Rows of one feature in one batch, centered; and their mean over all batches."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Centered:
    """Rows less a constant near their mean.

    Attributes:
        rows: `(n, C)`.
        offset: `(C,)` float64, the mean of `rows`.
    """

    rows: Tensor
    offset: Tensor


class BatchRows:
    """The rows `(n, C)` of one feature in one batch, with their place among the batches before.

    Args:
        rows: The rows; they are copied, as an anchor may go on to change its features in place.
        center: `(C,)` float64, a constant near their mean; computed if None.
        both: Whether `at` shall serve float64 as well as the precision of `rows`.

    Attributes:
        mean: `(C,)` float64.
        shift: `(C,)` float64, mean of this batch less the mean of all rows before it.
        weight: `n * before / (n + before)`, what `shift` counts for in a centered product.
    """

    def __init__(self, rows: Tensor, center: Tensor | None = None, *, both: bool = True) -> None:
        self.dtype = torch.promote_types(rows.dtype, torch.float32)
        self._raw = rows.to(self.dtype, copy=both)
        self._center = self._raw.mean(dim=0).double() if center is None else center
        self._centered: dict[torch.dtype, Centered] = {}
        self.mean = self._center.to(self.dtype).double() + self.at(self.dtype).offset
        self.shift = self.mean
        self.weight = 0.0

    def __len__(self) -> int:
        return len(self._raw)

    def at(self, dtype: torch.dtype) -> Centered:
        """Return the rows centered, in float32 or float64."""
        if dtype not in self._centered:
            rows = self._raw.to(dtype) - self._center.to(dtype)
            self._centered[dtype] = Centered(rows, rows.mean(dim=0).double())
        return self._centered[dtype]

    def refine(self) -> None:
        """Make the mean exact to float64, for features whose narrow directions count."""
        self.mean = self._center + self.at(torch.float64).offset

    def scatter(self) -> Tensor:
        """Return `||rows - mean||^2`, in the precision of the best products formed with these rows."""
        best = self.at(torch.float64 if torch.float64 in self._centered else self.dtype)
        norms: Tensor = torch.linalg.vector_norm(best.rows, dim=1)
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
