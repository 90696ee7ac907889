import pytest
import torch

from snnet.init.kaiming import kaiming_solution


def test_keeps_the_variance_of_the_input() -> None:
    torch.manual_seed(0)
    solution = kaiming_solution(192, 384)
    assert solution.weight.shape == (192, 384)
    assert float((torch.randn(1000, 192) @ solution.weight).var()) == pytest.approx(1, rel=0.05)
    assert not solution.bias.any()
