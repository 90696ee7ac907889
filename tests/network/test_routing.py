"""Feature maps of routes, and routes that end with a head over them."""

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from snnet.errors import CheckpointError, HeadError, SpaceError
from snnet.heads import HEADS
from snnet.init import initialize
from snnet.network import SNNet, load, run_tree, stitch
from snnet.network.tree import Tree
from snnet.profiling import count_costs
from snnet.tasks import TASKS, Classification


def image_batch(net: SNNet, count: int = 3) -> Tensor:
    return torch.randn(count, *net.input.size, generator=torch.Generator().manual_seed(0))


def vit(width: int, depth: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return timm.models.VisionTransformer(
        img_size=28,
        patch_size=7,
        in_chans=1,
        embed_dim=width,
        num_heads=2,
        depth=depth,
        num_classes=10,
        pos_embed="learn",
    ).eval()


@pytest.fixture
def net() -> SNNet:
    torch.manual_seed(0)
    return stitch(vit(8, 4), vit(12, 8, 1), kernel_size=2, stride=1).eval()


def test_maps_of_the_largest_anchor_are_timms_own(net: SNNet) -> None:
    images = image_batch(net)
    found = net.features(images, "1:0-8", taps=4)
    expected = net.anchor(1).model.forward_intermediates(images, indices=[1, 3, 5, 7], intermediates_only=True)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_maps_of_other_routes_go_through_layers_fitted_to_the_largest_anchor(net: SNNet) -> None:
    images = image_batch(net, 40)
    with pytest.raises(SpaceError, match=r"no layer tap0_0_0.*net\.set_taps"):
        net.features(images, 0, taps=4)
    net.set_taps(4)
    initialize(net, images, progress=False)
    tokens = net.anchor(0).run(net.anchor(0).enter(images), 0, 2)
    layer = net.layer_named("tap1_0_1")
    front = tokens.flatten(0, 1)
    back = net.anchor(1).run(net.anchor(1).enter(images), 0, 4).flatten(0, 1)
    solved = torch.linalg.lstsq(torch.cat([front, torch.ones(len(front), 1)], 1).double(), back.double()).solution
    torch.testing.assert_close(layer.transform.weight.double(), solved[:-1].T, atol=1e-3, rtol=1e-3)
    expected = layer(tokens)[:, 1:].transpose(1, 2).reshape(40, 12, 4, 4)
    torch.testing.assert_close(net.features(images, 0)[1], expected)
    assert [tuple(one.shape) for one in net.features(images, net.space[3])] == [(40, 12, 4, 4)] * 4
    assert torch.equal(net(images, 0), net.anchor(0)(images)), "without a head routes end as ever"


def test_routes_end_with_the_head_over_their_maps(net: SNNet) -> None:
    net.set_head("linear", 5)
    images = image_batch(net)
    assert (net.num_classes, net.taps, net.task.scores[0]) == (5, 4, "miou")
    tree, found = Tree(), {}
    with torch.no_grad():
        for route in net.space:
            expected = net.head(net.features(images, route))
            assert expected.shape == (3, 5, 28, 28)
            torch.testing.assert_close(net(images, route), expected)
            tree.add(route, net.steps(route))
        found = dict(run_tree(net, tree, images))
        for route in net.space:
            torch.testing.assert_close(found[route.id], net(images, route), atol=1e-5, rtol=1e-4)


def test_costs_are_those_of_a_whole_pass(net: SNNet) -> None:
    net.set_head("linear", 5)
    table = count_costs(net)
    images = image_batch(net, 1)
    for route in (net.space[0], net.space[1], net.space[-1]):
        net.train()  # without fused kernels, which the counter does not see
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(images, route)
        counted = table[route].macs
        assert counter.get_total_flops() / 2 <= counted <= 1.25 * counter.get_total_flops() / 2  # norms are ours alone
        used = {id(p): p.numel() for p in net.parameters_of(route)}
        assert table[route].params == sum(used.values())
        net(images, route).sum().backward()
        moved = {id(p): p.numel() for p in net.parameters() if p.grad is not None}
        assert set(moved) <= set(used) and sum(used.values()) - sum(moved.values()) < 200
        net.zero_grad()
    assert not any(p is q for p in net.anchor(1).head_parameters() for q in net.parameters_of(1))


def test_a_network_with_a_head_is_saved_and_loaded(net: SNNet, tmp_path: Path) -> None:
    net.set_head("linear", 5, hidden=6)
    net.save_pretrained(tmp_path / "net")
    images = image_batch(net)
    again = load(tmp_path / "net", models=[vit(8, 4), vit(12, 8, 1)])
    assert again.head_source == net.head_source and again.task == net.task and again.taps == 4
    for route in (0, 1, 4):
        torch.testing.assert_close(again(images, route), net(images, route))


def test_a_stitch_alone_and_a_space_of_fewer_keep_the_head(net: SNNet) -> None:
    net.set_head("linear", 5)
    images = image_batch(net)
    with torch.no_grad():
        expected = net(images, net.space[3])
        alone = net.at(3).to_module()
        torch.testing.assert_close(alone(images), expected)
        assert not any("model.head" in name for name, _ in alone.named_parameters())
        route = net.space[3]
        layer = net.layer_named("tap0_0_0").transform.weight.clone()
        net.set_space(net.space.where(lambda one: one.is_anchor or one == route))
        torch.testing.assert_close(net(images, route), expected)
        assert torch.equal(net.layer_named("tap0_0_0").transform.weight, layer)


def test_a_head_of_ones_own(net: SNNet, tmp_path: Path) -> None:
    class Mine(nn.Module):
        def __init__(self, width: int = 12) -> None:
            super().__init__()
            self.last = nn.Conv2d(width, 3, 1)

        def forward(self, maps: list[Tensor]) -> Tensor:
            return nn.functional.interpolate(self.last(maps[-1]), scale_factor=7.0)

    with pytest.raises(HeadError, match=r"does not run on .*12"):
        net.set_head(Mine(13), 3)
    assert net.taps is None and not net.has_head and net(image_batch(net)).shape == (3, 10)
    net.set_head(Mine(), 3, task=TASKS.get("segmentation")())
    assert net(image_batch(net)).shape == (3, 3, 28, 28)
    net.save_pretrained(tmp_path / "net")
    with pytest.raises(CheckpointError, match=r"a module of the user's own.*snnet\.HEADS\.register"):
        load(tmp_path / "net", models=[vit(8, 4), vit(12, 8, 1)])
    with pytest.raises(SpaceError, match="The head takes 4 maps, and taps=2"):
        net.set_taps(2)


def test_what_a_head_needs(net: SNNet) -> None:
    with pytest.raises(SpaceError, match="taps=9 of an anchor with 8 blocks"):
        net.set_head("linear", 5, taps=9)
    with pytest.raises(HeadError, match=r"no option 'hiden'.*'hidden'"):
        net.set_head("linear", 5, hiden=6)
    assert isinstance(net.task, Classification) and "linear" in HEADS.names()


@pytest.mark.parametrize("name", ["swin", "cnn"])
def test_hierarchical_families_give_their_stages(name: str) -> None:
    from snnet.anchors import EMBEDDED_FAMILIES

    net = stitch(*EMBEDDED_FAMILIES[name], pretrained=True).eval()
    images = image_batch(net)
    model = net.family[-1].model
    expected = model.forward_intermediates(images, intermediates_only=True)[-4:]
    found = net.features(images, len(net.anchors) - 1, taps=4)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    net.set_head("linear", 3, taps=4)
    assert net(images, net.space[-1]).shape == (3, 3, 28, 28)
    with pytest.raises(HeadError, match=r"each 8x8 pixels, which do not divide images of 28x28.* 24x24 or 32x32"):
        net.set_head("linear", 3, taps=3)


@pytest.mark.parametrize(
    ("name", "options", "taps", "reductions"),
    [
        ("vit_fm_tiny", {"depth": 3}, 3, (7, 7, 7)),
        ("resnet_fm_tiny", {}, 4, (4, 8, 16, 32)),
        ("levit_fm_small", {"depth": (4, 4, 4)}, 3, (8, 16, 32)),
        ("mobilenetv3_small_050", {}, 6, (4, 8, 16, 16, 32, 32)),
    ],
)
def test_a_head_reads_four_sizes_unless_told(name: str, options: dict, taps: int, reductions: tuple[int, ...]) -> None:
    net = stitch(timm.create_model(name, **options), space="search").set_head("linear", 3).eval()
    assert net.taps == taps and tuple(spec.reduction for spec in net.map_specs) == reductions
    images = torch.randn(1, *net.input.size)
    assert len(net.features(images)) == taps and net(images).shape == (1, 3, *net.input.size[1:])


def test_a_head_joins_the_mode_of_its_network(net: SNNet) -> None:
    class Dropping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(12, 3, 1))

        def forward(self, maps: list[Tensor]) -> Tensor:
            return nn.functional.interpolate(self.last(maps[-1]), scale_factor=7.0)

    images = image_batch(net)
    net.set_head(Dropping(), 3)
    assert not net.head.training and torch.equal(net(images, 0), net(images, 0))
    net.train().set_head(Dropping(), 3)
    assert net.head.training and not torch.equal(net(images, 0), net(images, 0))
