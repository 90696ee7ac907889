from pathlib import Path

import pytest
import torch
from torch import nn

from snnet.evaluation import evaluate
from snnet.utils import SMALLEST, fast_linear, fast_product, has_fast_linear
from tests.conftest import build_tiny_net

pytestmark = pytest.mark.skipif(not has_fast_linear("cpu"), reason="not an x86 CPU with oneDNN")


@pytest.mark.parametrize("shape", [(7, 128), (3, 17, 128), (2, 5, 5, 128)])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients_are_those_of_torch(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(128, 96, bias=bias)
    assert layer.weight.numel() >= SMALLEST
    results = []
    for fast in (False, True):
        layer.zero_grad()
        inputs = torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(shape).requires_grad_()
        with fast_linear("cpu" if fast else "meta"):
            output = layer(inputs)
        assert ("_Linear" in type(output.grad_fn).__name__) == fast
        output.square().sum().backward()
        results.append([output.detach(), inputs.grad, *(p.grad.clone() for p in layer.parameters())])
    for plain, fast_result in zip(*results, strict=True):
        torch.testing.assert_close(fast_result, plain, rtol=1e-4, atol=1e-4)


def test_strided_and_transposed_operands() -> None:
    matrix, weight = torch.randn(64, 300), torch.randn(200, 300)
    for rows in (matrix[:, 40:140], torch.randn(100, 64).T):
        torch.testing.assert_close(
            fast_product(rows, weight[:, 3:103]), rows @ weight[:, 3:103].T, rtol=1e-4, atol=1e-3
        )


def test_what_does_not_suit_is_left_alone() -> None:
    double, layer = nn.Linear(128, 128).double(), nn.Linear(128, 128)
    with fast_linear("cpu"):
        assert double(torch.ones(2, 128).double()).dtype == torch.float64
        assert layer(torch.ones(128)).shape == (128,)
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(torch.ones(2, 128)).dtype == torch.bfloat16
        assert nn.Linear(4, 4)(torch.ones(2, 4)).grad_fn.name() == "AddmmBackward0"
        assert torch.nn.functional.linear(torch.ones(2, 128), weight=layer.weight).shape == (2, 128)


def test_evaluation_uses_it_and_scores_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = build_tiny_net()
    data = torch.randn(20, 1, 28, 28), torch.arange(20) % 10
    monkeypatch.setattr("snnet.utils.onednn.SMALLEST", 1)
    fast = evaluate(net, data)
    monkeypatch.setattr("snnet.utils.onednn._ON_X86", False)
    plain = evaluate(net, data)
    assert [row.loss for row in fast] == pytest.approx([row.loss for row in plain], rel=1e-5)
