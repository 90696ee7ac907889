import pytest
import torch
from torch import nn

from snnet.init import recalibrate
from snnet.network import stitch
from snnet.runtime.engines import ENGINES, Conditions, EagerEngine


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


def test_low_rank_layers_are_merged_in_the_replica_alone() -> None:
    net = stitch("vit_fm_tiny", "vit_fm_small").set_lora_rank(2).eval()
    for layer in net.layers.values():
        for part in layer.transform.parameters():
            nn.init.normal_(part, std=0.1)
    images, last = torch.randn(2, *net.input.size), len(net.space) - 1
    with torch.no_grad():
        expected = net(images, last)
    torch.testing.assert_close(EagerEngine(net).load(last)(images), expected, rtol=1e-4, atol=1e-4)
    assert net.lora_rank == 2
    assert all("Low" in type(layer.transform).__name__ for layer in net.layers.values())


def test_a_loaded_stitch_equals_the_network(tiny_net):
    images = torch.randn(2, *tiny_net.input.size)
    engine = ENGINES.get("eager")(tiny_net)
    for route in tiny_net.space[:4]:
        with torch.no_grad():
            expected = tiny_net.eval()(images, route)
        assert torch.equal(engine.load(route)(images), expected)


def test_steps_one_after_another_equal_the_stitch(tiny_net):
    images = torch.randn(2, *tiny_net.input.size)
    engine = ENGINES.get("eager")(tiny_net)
    last = tiny_net.space[-1]
    features = images
    for step in tiny_net.steps(last):
        features = engine.load_step(step, features)(features)
    assert torch.allclose(features, engine.load(last)(images), rtol=1e-5, atol=1e-6)


def test_weights_of_the_same_type_and_place_are_shared(tiny_net):
    engine = ENGINES.get("eager")(tiny_net)
    assert next(engine.replica.parameters()).data_ptr() == next(tiny_net.parameters()).data_ptr()
    double = ENGINES.get("eager")(tiny_net, Conditions.of(tiny_net, precision="fp64"))
    assert double.load(0)(torch.randn(1, *tiny_net.input.size, dtype=torch.float64)).dtype == torch.float64
    assert next(tiny_net.parameters()).dtype == torch.float32
