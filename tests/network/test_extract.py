"""A stitch taken out of its network computes the same, and holds what it runs and nothing else."""

import io

import pytest
import torch
from torch import nn

from snnet.anchors import Anchor, batch_norms
from snnet.errors import ExportError
from snnet.init import recalibrate
from snnet.layers import LowRankLinear
from snnet.network import SNNet, stitch
from snnet.space import StitchSpace
from tests.batch_norm_family import SIZE, TinyConvAnchor, TinyConvNet, build_conv_net
from tests.conftest import build_tiny_net


def noise(net: SNNet, count: int = 3) -> torch.Tensor:
    return torch.randn(count, *net.input.size, generator=torch.Generator().manual_seed(1))


def recalibrated() -> SNNet:
    net = build_conv_net()
    recalibrate(net, noise(net, 16))
    assert len(net.statistics)
    return net


@pytest.mark.parametrize("share", [False, True])
def test_same_logits_same_names_and_no_other_weights(tiny_net: SNNet, share: bool) -> None:
    images = noise(tiny_net)
    for route in tiny_net.space:
        module = tiny_net.at(route).to_module(share=share)
        assert torch.equal(module(images), tiny_net(images, route))
        state, own = module.state_dict(), tiny_net.state_dict()
        assert all(torch.equal(value, own[name]) for name, value in state.items())
        used = {id(p) for p in tiny_net.parameters_of(route)}
        assert set(state) == {name for name, p in tiny_net.named_parameters() if id(p) in used}
        assert not any(isinstance(part, SNNet) for part in module.modules())


def test_copies_are_its_own_and_shared_tensors_the_networks(tiny_net: SNNet) -> None:
    mine = {p.data_ptr() for p in tiny_net.parameters()}
    copied, shared = (tiny_net.at(5).to_module(share=share) for share in (False, True))
    assert not mine & {p.data_ptr() for p in copied.parameters()}
    assert {id(p) for p in shared.parameters()} == {id(p) for p in tiny_net.parameters_of(5)}
    tiny_net.train()
    assert not any(part.training for part in tiny_net.at(5).to_module().modules())
    assert tiny_net.training and all(part.training for part in tiny_net.modules())


def test_it_is_saved_and_read_without_the_network(tiny_net: SNNet) -> None:
    module = tiny_net.at("0:0-2,1:2-4").to_module()
    file = io.BytesIO()
    torch.save(module, file)
    # A block has 12 * width^2 weights and a few; the file must not hold the rest of the network.
    assert file.tell() < 1.5 * sum(p.numel() * 4 for p in tiny_net.parameters_of("0:0-2,1:2-4")) + 200_000
    file.seek(0)
    images = noise(tiny_net)
    assert torch.equal(torch.load(file, weights_only=False)(images), tiny_net(images, "0:0-2,1:2-4"))


def test_low_rank_updates_are_merged() -> None:
    net = build_tiny_net().set_lora_rank(4)
    for layer in net.layers.values():
        nn.init.normal_(layer.transform.up)
    images, route = noise(net), net.space[-1]
    module = net.at(route).to_module(share=True)
    assert not any(isinstance(part, LowRankLinear) for part in module.modules())
    assert isinstance(net.layer(route.cuts[0]).transform, LowRankLinear)
    torch.testing.assert_close(module(images), net(images, route), rtol=1e-5, atol=1e-5)


def test_batch_norms_hold_the_statistics_of_the_route() -> None:
    net, images = recalibrated(), noise(build_conv_net())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    plain = build_conv_net()
    for route in net.space:
        module = net.at(route).to_module(share=True)
        torch.testing.assert_close(module(images), net(images, route))
        if not route.is_anchor:
            assert not torch.allclose(module(images), plain(images, route), rtol=1e-2)
        assert set(module.state_dict()) <= set(before)
        assert all(norm.weight is not None for norm in batch_norms([module]))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_images_are_normalized_for_the_anchor_that_takes_them() -> None:
    torch.manual_seed(0)

    class Darker(TinyConvAnchor):
        @property
        def input(self):  # type: ignore[no-untyped-def]
            return type(super().input)((1, SIZE, SIZE), (0.1,), (0.9,))

    anchors: list[Anchor] = [TinyConvAnchor(TinyConvNet(4), "a"), Darker(TinyConvNet(6), "b")]
    net = SNNet(anchors, StitchSpace.build([a.depths for a in anchors], direction="both")).eval()
    images = noise(net)
    for route in net.space:
        assert torch.equal(net.at(route).to_module()(images), net(images, route))


def test_a_block_run_twice_with_two_sets_of_statistics_is_refused() -> None:
    net = recalibrated()
    route = net.space[0]
    doubled = (*net.steps(route)[:2], *net.steps(route)[1:])
    prefixes = (*net.prefixes(route)[:2], "elsewhere", *net.prefixes(route)[2:])
    net.statistics.store({"0:0-1": net.statistics.get(net.prefixes(net.space[-1])[1]), "elsewhere": torch.ones(8)})
    net._routes[route] = (tuple(map(net._call, doubled, prefixes)), ())
    with pytest.raises(ExportError, match=r"runs block 0 of anchor 0 twice.*net.forget_statistics"):
        net.at(route).to_module()


@pytest.mark.parametrize("names", [("levit_fm_small", "levit_fm_base")])
def test_families_with_caches_and_several_heads(names: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    net = stitch(*names).eval()
    images = noise(net, 2)
    with torch.no_grad():
        for route in list(net.space)[::3]:
            assert torch.equal(net.at(route).to_module()(images), net(images, route))
