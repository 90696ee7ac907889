import pytest
import torch
from torch import nn

from snnet.errors import AnchorError
from snnet.layers import LowRankLinear, StitchingLayer
from snnet.space import FeatureSpec


def moved(layer: LowRankLinear) -> LowRankLinear:
    with torch.no_grad():
        layer.up.normal_()
    return layer


def test_it_begins_as_the_plain_layer() -> None:
    plain = nn.Linear(6, 9)
    features = torch.randn(5, 6)
    assert torch.equal(LowRankLinear(plain, 2)(features), plain(features))


def test_it_computes_with_the_sum_and_merges_into_it() -> None:
    plain = nn.Linear(6, 9)
    expected = plain.weight.detach().clone()
    layer = moved(LowRankLinear(plain, 2))
    expected += sum(torch.outer(layer.up[:, i], layer.down[i]) for i in range(2))
    merged = layer.merged()
    torch.testing.assert_close(merged.weight, expected)
    assert type(merged) is nn.Linear and torch.equal(merged.bias, plain.bias) and merged.weight.requires_grad
    features = torch.randn(5, 6)
    torch.testing.assert_close(layer(features), merged(features))
    assert torch.linalg.matrix_rank(merged.weight - plain.weight) == 2


def test_the_weight_is_frozen_and_the_rest_learns() -> None:
    layer = moved(LowRankLinear(nn.Linear(6, 9), 2))
    layer(torch.randn(5, 6)).square().sum().backward()
    assert layer.weight.grad is None
    assert all(part.grad is not None and part.grad.abs().sum() > 0 for part in (layer.up, layer.down, layer.bias))


@pytest.mark.parametrize("layout", ["tokens", "NHWC", "NCHW"])
@pytest.mark.parametrize("other", ["tokens", "NCHW"])
def test_every_layout(layout: str, other: str) -> None:
    torch.manual_seed(0)
    low = StitchingLayer(FeatureSpec(6, layout, (2, 2)), FeatureSpec(9, other, (2, 2)), lora_rank=3)  # type: ignore[arg-type]
    assert isinstance(low.transform, LowRankLinear) and low.transform.rank == 3
    moved(low.transform)
    features = torch.randn({"tokens": (2, 4, 6), "NHWC": (2, 2, 2, 6), "NCHW": (2, 6, 2, 2)}[layout])
    before = low(features)
    low.set_lora_rank(None)
    assert type(low.transform) is nn.Linear
    torch.testing.assert_close(low(features), before)


def test_another_rank_goes_on_from_the_same_map() -> None:
    spec = FeatureSpec(6, "tokens", (2, 2))
    layer, features = StitchingLayer(spec, spec, lora_rank=3), torch.randn(1, 4, 6)
    moved(layer.transform)  # type: ignore[arg-type]
    before = layer(features)
    layer.set_lora_rank(1)
    assert isinstance(layer.transform, LowRankLinear) and layer.transform.rank == 1
    torch.testing.assert_close(layer(features), before)


@pytest.mark.parametrize("rank", [0, 7])
def test_ranks_that_do_not_fit(rank: int) -> None:
    with pytest.raises(AnchorError, match=f"lora_rank is {rank}; .* from 6 to 9 channels takes 1 to 6"):
        LowRankLinear(nn.Linear(6, 9), rank)
