"""Products of centered rows, and the precision that each is formed in."""

import pytest
import torch
from torch import Tensor

from snnet.init.rows import BatchRows, RunningMean, product_over_rows
from snnet.init.sums import ProductSum, choose_dtype


def correlated(correlation: float, rows: int = 400, width: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise, common = torch.randn(rows, width, generator=generator), torch.randn(rows, 1, generator=generator)
    return (1 - correlation) ** 0.5 * noise + correlation**0.5 * common


def test_float32_where_it_suffices() -> None:
    assert choose_dtype(BatchRows(correlated(0.9) * torch.logspace(-3, 3, 12) + 100).at(torch.float32)) == torch.float32


def hidden_copy(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows[:, :1] + rows[:, 1:2]], dim=1)


@pytest.mark.parametrize(
    "rows",
    [
        correlated(0.5).double(),
        correlated(0.5).bfloat16().double(),
        correlated(0.5)[:20],
        correlated(0.99999),
        hidden_copy(correlated(0.5)),
        correlated(0.5) * (torch.arange(12) > 0),
    ],
    ids=["float64", "wide", "few rows", "correlated", "dependent", "dead channel"],
)
def test_float64_where_it_is_needed(rows: Tensor) -> None:
    batch = BatchRows(rows)
    assert choose_dtype(batch.at(batch.dtype)) == torch.float64


def test_matrix_products_of_low_precision_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def rounded(a: Tensor, b: Tensor) -> Tensor:
        return product_over_rows(a.bfloat16().float(), b.bfloat16().float())

    monkeypatch.setattr("snnet.init.rows.product_over_rows", rounded)
    assert choose_dtype(BatchRows(correlated(0.5)).at(torch.float32)) == torch.float64


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_products_over_batches(dtype: torch.dtype, tolerance: float, offset: float) -> None:
    parts = [correlated(0.3) + offset, correlated(0.8) * 2 + offset + 1, correlated(0.1)[:50]]
    sides = [(part, part[:, :5] ** 2, part[:, 5:10].sin()) for part in parts]
    means, sums = [RunningMean() for _ in range(3)], ProductSum()
    for side in sides:
        batch = [BatchRows(rows) for rows in side]
        for mean, rows in zip(means, batch, strict=True):
            if dtype == torch.float64:
                rows.refine()
            mean.add(rows)
        sums.add(batch[:1], batch[1:], dtype)
    a, b, c = (torch.cat(rows).double() for rows in zip(*sides, strict=True))
    a, target = a - a.mean(dim=0), b + c - (b + c).mean(dim=0)
    expected = a.T @ target
    scale = a.norm(dim=0)[:, None] * target.norm(dim=0)
    assert sums.total is not None
    assert float(((sums.total - expected) / scale).abs().max()) < tolerance
