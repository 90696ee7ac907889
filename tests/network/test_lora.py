"""Low-rank stitching layers in a whole network."""

from pathlib import Path

import pytest
import torch
from torch import nn

import snnet
from snnet.anchors import Anchor
from snnet.errors import AnchorError
from snnet.init import initialize
from snnet.layers import LowRankLinear
from snnet.network import SNNet
from snnet.profiling import count_costs, network_params
from snnet.training import OptimSettings, RunSettings, Trainer
from tests.conftest import WIDTHS, build_tiny_anchor, build_tiny_net
from tests.training.killable import TinyBatches

RANK = 4


def low_rank_layers(net: SNNet) -> list[LowRankLinear]:
    return [part for part in net.layers.modules() if isinstance(part, LowRankLinear)]


def trained(steps: int = 6) -> SNNet:
    net = build_tiny_net().set_lora_rank(RANK)
    settings = RunSettings(steps=steps, trackers=(), device="cpu")
    Trainer(net, TinyBatches(), run=settings, optim=OptimSettings(lr=0.05, weight_decay=0.1)).fit()
    return net


def logits(net: SNNet) -> torch.Tensor:
    images = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.stack([net(images, stitch) for stitch in net.space])


def test_training_moves_the_update_and_leaves_the_map() -> None:
    before = build_tiny_net().state_dict()
    net = trained()
    after = net.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name.endswith("transform.weight"))
    assert any(layer.up.abs().sum() > 0 for layer in low_rank_layers(net))


def test_saved_and_loaded_and_merged(tmp_path: Path) -> None:
    net = trained()
    expected = logits(net)
    net.save_pretrained(tmp_path / "low")
    loaded = snnet.load(tmp_path / "low")
    assert loaded.lora_rank == RANK and torch.equal(logits(loaded), expected)
    assert not any(layer.weight.requires_grad for layer in low_rank_layers(loaded))
    loaded.set_lora_rank(None).save_pretrained(tmp_path / "plain")
    plain = snnet.load(tmp_path / "plain")
    assert plain.lora_rank is None and not low_rank_layers(plain)
    assert "lora_rank" not in (tmp_path / "plain" / "config.json").read_text()
    torch.testing.assert_close(logits(plain), expected, atol=1e-5, rtol=1e-5)


def test_costs_are_those_of_the_merged_network() -> None:
    plain, low = build_tiny_net(), build_tiny_net().set_lora_rank(RANK)
    for column in ("macs", "params"):
        assert count_costs(low).column(column) == count_costs(plain).column(column)
    # Counting merges a copy.
    assert len(low_rank_layers(low)) == len(low.layers) and low.lora_rank == RANK
    ends = [(layer.in_features, layer.out_features) for layer in low_rank_layers(low)]
    assert network_params(low) - network_params(plain) == sum(RANK * (front + back) for front, back in ends)


def test_least_squares_begins_the_update_again() -> None:
    images = torch.randn(20, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    plain, low = build_tiny_net(), build_tiny_net().set_lora_rank(RANK)
    for layer in low_rank_layers(low):
        nn.init.normal_(layer.up)
    for net in (plain, low):
        initialize(net, images)
    assert torch.equal(logits(low), logits(plain))


def test_a_rank_too_large_leaves_the_network_as_it_was(tiny_anchors: list[Anchor]) -> None:
    net = build_tiny_net().set_lora_rank(RANK)
    with pytest.raises(AnchorError, match=f"lora_rank is {WIDTHS[0] + 1}"):
        net.set_lora_rank(WIDTHS[0] + 1)
    assert net.lora_rank == RANK and {layer.rank for layer in low_rank_layers(net)} == {RANK}
    with pytest.raises(AnchorError, match="takes 1 to 16"):
        SNNet(tiny_anchors, net.space, lora_rank=99)


def test_stitch_takes_a_rank() -> None:
    anchors = [build_tiny_anchor(width).model for width in WIDTHS[:2]]
    net = snnet.stitch(*anchors).set_lora_rank(2)
    assert {layer.rank for layer in low_rank_layers(net)} == {2}
