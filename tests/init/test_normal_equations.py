import pytest
import torch
from torch import Tensor

from snnet.init.normal_equations import NormalEquations, kaiming_solution
from tests.init.reference import lstsq_map, relative_residual


def equations(a: Tensor, b: Tensor) -> NormalEquations:
    mean_a, mean_b = a.mean(dim=0), b.mean(dim=0)
    a, b = a - mean_a, b - mean_b
    return NormalEquations(a.T @ a, a.T @ b, mean_a, mean_b, float(b.square().sum()), len(a))


def spectrum(smallest: float, width: int = 40, rows: int = 500) -> Tensor:
    """Rows whose singular values fall from 1 to `smallest`."""
    generator = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(rows, width, generator=generator, dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64)).Q
    return left * torch.logspace(0, torch.tensor(smallest).log10(), width, dtype=torch.float64) @ right


@pytest.mark.parametrize("smallest", [1.0, 1e-2, 1e-4, 1e-5, 1e-7, 1e-9])
def test_residual_equals_lstsq_however_ill_conditioned(smallest: float) -> None:
    a = spectrum(smallest) * 100 + 3
    b = a @ torch.randn(40, 20, dtype=torch.float64) + torch.randn(500, 20, dtype=torch.float64)
    solution = equations(a, b).solve()
    best = relative_residual(a, b, *lstsq_map(a, b))
    # Directions narrower than 1e-6 of the widest are dropped; each could explain its share of the noise.
    dropped = 40 - solution.rank
    assert relative_residual(a, b, solution.weight, solution.bias) <= best * (1 + dropped / 400) + 1e-6
    assert dropped == 0 or smallest < 1e-6


@pytest.mark.parametrize("smallest", [1e-2, 1e-5, 1e-9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_residual_of_a_rounded_solution(smallest: float, dtype: torch.dtype) -> None:
    a = spectrum(smallest) * 100 + 3
    b = a @ torch.randn(40, 20, dtype=torch.float64) + torch.randn(500, 20, dtype=torch.float64)
    solution = equations(a, b).solve()
    weight, bias = solution.weight.to(dtype), solution.bias.to(dtype)
    found = equations(a, b).relative_residual(weight, bias, near=solution.weight)
    assert found == pytest.approx(relative_residual(a, b, weight, bias), rel=1e-5)


def test_scales_of_channels_do_not_matter() -> None:
    a = torch.randn(300, 30, dtype=torch.float64) * torch.logspace(-9, 3, 30, dtype=torch.float64)
    b = torch.randn(300, 5, dtype=torch.float64)
    solution = equations(a, b).solve()
    assert solution.rank == 30
    scaled = a / a.std(dim=0)
    best = relative_residual(scaled, b, *lstsq_map(scaled, b))
    assert relative_residual(a, b, solution.weight, solution.bias) == pytest.approx(best, abs=1e-9)
    assert equations(a, b).relative_residual(solution.weight, solution.bias) == pytest.approx(best, abs=1e-6)


def test_rank_deficient_takes_the_least_norm() -> None:
    a = torch.randn(500, 10, dtype=torch.float64) @ torch.randn(10, 40, dtype=torch.float64)
    b = torch.randn(500, 6, dtype=torch.float64)
    solution = equations(a, b).solve()
    assert solution.rank == 10
    torch.testing.assert_close(solution.weight, lstsq_map(a, b)[0], rtol=1e-6, atol=1e-9)


def test_constant_features_leave_the_bias() -> None:
    a, b = torch.full((50, 4), 0.1, dtype=torch.float64), torch.randn(50, 3, dtype=torch.float64)
    for ridge in (0.0, 1.0):
        solution = equations(a, b).solve(ridge)
        assert solution.rank == 0
        assert not solution.weight.any()
        torch.testing.assert_close(solution.bias, b.mean(dim=0))


def test_targets_of_zero() -> None:
    a, b = torch.randn(50, 4, dtype=torch.float64), torch.zeros(50, 3, dtype=torch.float64)
    solution = equations(a, b).solve()
    assert equations(a, b).relative_residual(solution.weight, solution.bias) == 0


def test_keeps_the_variance_of_the_input() -> None:
    torch.manual_seed(0)
    solution = kaiming_solution(192, 384)
    assert solution.weight.shape == (192, 384)
    assert float((torch.randn(1000, 192) @ solution.weight).var()) == pytest.approx(1, rel=0.05)
    assert not solution.bias.any()
