"""Bound steps compute what the network does, whatever makes up a step."""

import pytest
import torch
from torch import nn

from snnet.init import recalibrate
from snnet.network import SNNet, stitch
from snnet.runtime.engines import EagerEngine
from snnet.runtime.engines.bound import BoundStep, bind


@pytest.mark.parametrize("names", [("vit_fm_tiny", "vit_fm_small"), ("resnet_fm_small", "swin_fm_base")])
def test_every_stitch_of_a_family(names: tuple[str, ...]) -> None:
    net = stitch(*names).eval()
    engine, images = EagerEngine(net), torch.randn(2, *net.input.size)
    for route in net.space:
        with torch.no_grad():
            torch.testing.assert_close(engine.load(route)(images), net(images, route), rtol=1e-4, atol=1e-4)


def test_statistics_of_a_route_are_used() -> None:
    net = stitch("resnet_fm_small", "resnet_fm_base", pretrained=True).eval()
    images = torch.randn(8, *net.input.size)
    route = net.space[-1]
    before = EagerEngine(net).load(route)(images)
    recalibrate(net, [images], stitches=[route])
    after = EagerEngine(net).load(route)(images)
    with torch.no_grad():
        torch.testing.assert_close(after, net(images, route), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(before, after, rtol=1e-2)


def test_a_plain_block_is_its_module_and_a_stem_is_more(tiny_net: SNNet) -> None:
    stem, block, *_ = tiny_net.steps(0)
    assert bind(tiny_net, block) == [tiny_net.anchor(0).model.blocks[0]]
    (whole,) = bind(tiny_net, stem)
    assert isinstance(whole, BoundStep)


def test_parameters_are_those_of_the_step(tiny_net: SNNet) -> None:
    for step in tiny_net.steps(-1 % len(tiny_net.space)):
        found = {id(p) for p in BoundStep(tiny_net, step).parameters()}
        assert {id(p) for p in tiny_net.step_parameters(step)} <= found
        if step.kind != "stem":
            assert len(found) == len(tiny_net.step_parameters(step))


def test_low_rank_layers_are_merged_in_the_replica_alone() -> None:
    net = stitch("vit_fm_tiny", "vit_fm_small", lora_rank=2).eval()
    for layer in net.layers.values():
        for part in layer.transform.parameters():
            nn.init.normal_(part, std=0.1)
    images, last = torch.randn(2, *net.input.size), len(net.space) - 1
    with torch.no_grad():
        expected = net(images, last)
    torch.testing.assert_close(EagerEngine(net).load(last)(images), expected, rtol=1e-4, atol=1e-4)
    assert net.lora_rank == 2
    assert all("Low" in type(layer.transform).__name__ for layer in net.layers.values())
