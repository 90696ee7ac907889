"""Parameters against the gradients that a backward pass leaves."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from snnet.network import SNNet
from snnet.profiling import network_params, stitch_params
from tests.conftest import build_tiny_net
from tests.helpers.routes import build_free_net


def elements_with_gradient(net: SNNet, stitch: str) -> int:
    net.zero_grad(set_to_none=True)
    net(torch.randn(2, *net.input.size), stitch).square().sum().backward()
    return sum(p.numel() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("build", [build_tiny_net, partial(build_free_net, 1), partial(build_free_net, 2)])
def test_a_stitch_has_the_parameters_that_get_gradients(build: Callable[[], SNNet]) -> None:
    """Also where it leaves blocks out, or runs one twice."""
    net = build()
    found = stitch_params(net)
    assert list(found) == [stitch.id for stitch in net.space]
    assert found == {stitch: elements_with_gradient(net, stitch) for stitch in found}


def test_the_network_has_all_anchors_and_stitching_layers(tiny_net: SNNet) -> None:
    anchors = [stitch_params(tiny_net)[f"{number}:0-4"] for number in range(3)]
    layers = [sum(p.numel() for p in layer.parameters()) for layer in tiny_net.layers.values()]
    assert len(layers) == 6
    assert network_params(tiny_net) == sum(anchors) + sum(layers)


def test_a_tensor_in_two_places_counts_once(tiny_net: SNNet) -> None:
    before, whole = stitch_params(tiny_net), network_params(tiny_net)
    blocks = tiny_net.anchor(0).model.blocks
    shared = blocks[0].mlp.fc1.weight
    blocks[1].mlp.fc1.weight = shared
    after = stitch_params(tiny_net)
    assert after["0:0-4"] == before["0:0-4"] - shared.numel() == elements_with_gradient(tiny_net, "0:0-4")
    assert after["1:0-4"] == before["1:0-4"]
    assert network_params(tiny_net) == whole - shared.numel()


def test_frozen_parameters_count(tiny_net: SNNet) -> None:
    before = stitch_params(tiny_net)
    layer = next(iter(tiny_net.layers.values()))
    assert isinstance(layer, nn.Module)
    layer.requires_grad_(False)
    assert stitch_params(tiny_net) == before
