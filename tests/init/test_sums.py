from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snnet.init.plan import Node, plan_sums
from snnet.init.rows import BatchRows, RunningMean
from snnet.init.sums import StreamingSums
from snnet.space import Cut, LayerSpec
from tests.init.reference import lstsq_map, relative_residual

ROWS = 40
CPU = torch.device("cpu")
LAYER = LayerSpec("window", 0, 1, 0, (Cut(0, 0, 1, 0), Cut(0, 0, 1, 1), Cut(0, 1, 1, 0)))


def features(seed: int, offset: float) -> dict[Node, Tensor]:
    """Random rows of every node of `LAYER`, with means and scales that differ by channel."""
    generator = torch.Generator().manual_seed(seed)

    def draw(width: int) -> Tensor:
        rows, scale = torch.randn(ROWS, width, generator=generator), torch.rand(width, generator=generator) + 0.1
        return (rows * scale + offset * torch.randn(width, generator=generator)).double()

    return {Node(0, -1): draw(5), Node(0, 0): draw(5), Node(0, 1): draw(5), Node(1, -1): draw(7), Node(1, 0): draw(7)}


def streamed(rows: dict[Node, Tensor], cuts: list[int]) -> StreamingSums:
    sums = StreamingSums(plan_sums([LAYER], [2, 2]), CPU)
    edges = [0, *sorted(cuts), ROWS]
    for start, stop in pairwise(edges):
        if stop > start:
            sums.add((node, rows[node][start:stop]) for node in sums.plan.order)
    return sums


@settings(deadline=None, max_examples=40)
@given(
    cuts=st.lists(st.integers(0, ROWS), max_size=12),
    seed=st.integers(0, 1000),
    offset=st.sampled_from([0.0, 1.0, 1e4]),
)
def test_any_split_of_the_rows_gives_the_solution_of_all(cuts: list[int], seed: int, offset: float) -> None:
    rows = features(seed, offset)
    equations = streamed(rows, cuts).equations(LAYER)
    a = torch.cat([rows[Node(cut.front, cut.leave)] for cut in LAYER.cuts]).double()
    b = torch.cat([rows[Node(cut.back, cut.enter - 1)] for cut in LAYER.cuts]).double()
    solution, (weight, bias) = equations.solve(), lstsq_map(a, b)
    if offset <= 1:  # farther apart, the cuts' means leave W itself less well determined than its residual
        torch.testing.assert_close(solution.weight, weight, rtol=1e-6, atol=1e-8)
    best = relative_residual(a, b, weight, bias)
    assert relative_residual(a, b, solution.weight, solution.bias) == pytest.approx(best, abs=1e-9)
    assert equations.relative_residual(solution.weight, solution.bias) == pytest.approx(best, abs=1e-7)
    assert equations.rows == len(a)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_running_mean_does_not_cancel(dtype: torch.dtype) -> None:
    rows = (torch.randn(3000, 4, dtype=torch.float64) * 1e-1 + 1e4).to(dtype)
    running = RunningMean()
    for part in rows.split(700):
        batch = BatchRows(part)
        running.add(batch)
        running.add_scatter(batch)
    exact = rows.double()
    assert running.count == 3000
    torch.testing.assert_close(running.mean, exact.mean(dim=0), rtol=1e-14, atol=0)
    assert running.scatter == pytest.approx(float((exact - exact.mean(dim=0)).square().sum()), rel=1e-6)


def test_the_rows_given_are_left_alone() -> None:
    rows = features(0, 1.0)
    before = {node: value.clone() for node, value in rows.items()}
    streamed(rows, [])
    assert all(torch.equal(rows[node], before[node]) for node in rows)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_may_change_after_they_were_given(dtype: torch.dtype) -> None:
    def changing() -> Iterator[tuple[Node, Tensor]]:
        for node in sums.plan.order:
            given = rows[node].to(dtype).clone()
            yield node, given
            given.zero_()

    rows, sums = features(0, 1.0), StreamingSums(plan_sums([LAYER], [2, 2]), CPU)
    for _ in range(2):
        sums.add(changing())
    expected, found = streamed(rows, []).equations(LAYER).solve(), sums.equations(LAYER).solve()
    torch.testing.assert_close(found.weight, expected.weight, rtol=1e-4, atol=1e-5)
