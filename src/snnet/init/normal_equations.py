"""Solving the normal equations of one stitching layer."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snnet.init.rows import product_over_rows

EPS = torch.finfo(torch.float64).eps
CONDITION_LIMIT = 1e12
"""Condition number (1-norm, of the correlation matrix) up to which Cholesky is trusted."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A map `x W + c` and the number of directions of `x` that determine it.

    Attributes:
        weight: `W`, `(C_in, C_out)`.
        bias: `c`, `(C_out,)`.
        rank: Rank of the centered front features.
    """

    weight: Tensor
    bias: Tensor
    rank: int

    def store_in(self, linear: nn.Linear) -> None:
        """Copy the map into a linear layer."""
        linear.weight.copy_(self.weight.T)
        linear.bias.copy_(self.bias)


@dataclass(frozen=True, slots=True)
class NormalEquations:
    """The sums that `min_{W,c} ||A W + c - B||^2` depends on, centered, in float64.

    Attributes:
        gram: `(A - mean)' (A - mean)`, `(C_in, C_in)`.
        cross: `(A - mean)' (B - mean)`, `(C_in, C_out)`.
        front_mean: `(C_in,)`.
        back_mean: `(C_out,)`.
        back_scatter: `||B - mean||^2`.
        rows: Rows of `A` and of `B`.
    """

    gram: Tensor
    cross: Tensor
    front_mean: Tensor
    back_mean: Tensor
    back_scatter: float
    rows: int

    def solve(self, ridge: float = 0.0) -> Solution:
        """Return the least-squares map; the one of least norm where there are many.

        Channels that never vary get weight zero. The others are solved by Cholesky (channels scaled to unit
        variance) if the condition number allows, otherwise by a pseudo-inverse that drops the eigenvalues of `gram`
        below `10 * C_in * eps` times the largest: directions whose spread is below about 1e-6 of the widest.

        Args:
            ridge: Adds `ridge * (mean variance of a front channel) * ||W||^2` per row.
        """
        # The others differ from their mean by rounding alone.
        rounding = self.rows * (16 * EPS * self.front_mean) ** 2
        live = torch.nonzero(self.gram.diagonal() > rounding).squeeze(1)
        every = len(live) == len(self.gram)
        gram, cross = (self.gram, self.cross) if every else (self.gram[live][:, live], self.cross[live])
        if ridge > 0 and len(gram):
            gram = gram + ridge * gram.diagonal().mean() * torch.eye(len(gram)).to(gram)
        solved = _solve_cholesky(gram, cross)
        solution, rank = (solved, len(gram)) if solved is not None else _solve_minimum_norm(gram, cross)
        weight = solution if every else torch.zeros_like(self.cross).index_copy(0, live, solution)
        return Solution(weight, self.back_mean - self.front_mean @ weight, rank)

    def relative_residual(self, weight: Tensor, bias: Tensor, near: Tensor | None = None) -> float:
        """Return `||A W + c - B|| / ||B||` of any map; below about 1e-4 it may be rounding of float32 products.

        Args:
            weight: `W`, `(C_in, C_out)`.
            bias: `c`, `(C_out,)`.
            near: The solution without ridge that `weight` is a rounding of, if it is one; saves most of the time.
        """
        weight, bias = weight.detach().to(self.cross), bias.detach().to(self.cross)
        offset = self.front_mean @ weight + bias - self.back_mean
        varying = self.back_scatter + self._quadratic(weight, near)
        squared = max(varying, 0.0) + self.rows * float(offset @ offset)
        total = self.back_scatter + self.rows * float(self.back_mean @ self.back_mean)
        return math.sqrt(squared / total) if total > 0 else math.sqrt(squared)

    def _quadratic(self, weight: Tensor, near: Tensor | None) -> float:
        """Return the trace of `W' gram W - 2 W' cross`."""
        if near is None:
            return float((weight * torch.addmm(self.cross, self.gram, weight, beta=-2)).sum())
        # At the solution W0, gram W0 = cross; what rounding adds is tiny, so float32 suffices for it.
        apart = (weight - near).float()
        return float((apart * product_over_rows(self.gram.float(), apart.T)).sum() - (near * self.cross).sum())


def kaiming_solution(in_features: int, out_features: int) -> Solution:
    """Draw normal weights of variance `1 / in_features` (He et al., for a linear map); the bias is zero."""
    weight = nn.init.kaiming_normal_(torch.empty(out_features, in_features), nonlinearity="linear")
    return Solution(weight.T, torch.zeros(out_features), 0)


def _solve_cholesky(gram: Tensor, cross: Tensor) -> Tensor | None:
    """Solve a well-conditioned system; return None if it is not."""
    scale = gram.diagonal().sqrt()
    scales = torch.outer(scale, scale)
    correlation = gram / scales
    factor, failed = torch.linalg.cholesky_ex(correlation)
    if bool(failed):
        return None
    inverse = torch.cholesky_inverse(factor)
    condition = _norm(correlation) * _norm(inverse) if len(gram) else 1.0
    if condition > CONDITION_LIMIT:
        return None
    # The inverse is at hand and its product quicker, but less exact where the condition is poor.
    if condition < 1e6:
        return (inverse / scales) @ cross
    solution: Tensor = torch.cholesky_solve(cross / scale[:, None], factor)
    return solution / scale[:, None]


def _solve_minimum_norm(gram: Tensor, cross: Tensor) -> tuple[Tensor, int]:
    values, vectors = torch.linalg.eigh(gram)
    kept = values > 10 * len(gram) * EPS * values[-1]
    basis = vectors[:, kept]
    return basis @ (basis.T @ cross / values[kept][:, None]), int(kept.sum())


def _norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, ord=1))
