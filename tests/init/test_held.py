import copy

import pytest
import torch
from torch import Tensor

from snnet.errors import AnchorError
from snnet.init import HeldFeatures
from snnet.network import SNNet, stitch
from snnet.space import Cut, Stitch, StitchSpace
from tests.conftest import build_tiny_anchor


def images(count: int = 24) -> Tensor:
    return torch.randn(count, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def through(net: SNNet, *routes: str) -> SNNet:
    return SNNet(net.family, StitchSpace.through(net.space.depths, map(Stitch, routes))).eval()


def features_of(net: SNNet, number: int, block: int) -> Tensor:
    """Return what a block of an anchor gives."""
    anchor = net.anchor(number)
    features = anchor.enter(images())
    return anchor.run(features, 0, block + 1)


def fitted(front: Tensor, back: Tensor) -> Tensor:
    """Return the weights and the bias, `(C + 1, C_back)`, by another way."""
    rows = front.flatten(0, 1).double()
    ones = torch.ones(len(rows), 1, dtype=torch.float64)
    return torch.linalg.lstsq(torch.cat([rows, ones], dim=1), back.flatten(0, 1).double(), driver="gelsd").solution


@torch.no_grad()
@pytest.mark.parametrize("batch_size", [7, 100])
def test_maps_are_those_of_all_rows(tiny_net: SNNet, batch_size: int) -> None:
    net = through(tiny_net, "0:0-2,1:2-4", "0:0-2,2:3-4", "2:0-1,0:0-4")
    held = HeldFeatures(net, net.space.layers, images(), 1000, batch_size)
    found = list(held.fit())
    assert {spec.name for spec, *_ in found} == {spec.name for spec in net.space.layers}
    for spec, solution, unexplained in found:
        (cut,) = spec.cuts
        front, back = features_of(net, cut.front, cut.leave), features_of(net, cut.back, cut.enter - 1)
        wanted = fitted(front, back)
        # As maps of the features: of weights that hardly matter there may be many.
        got = front.double() @ solution.weight + solution.bias
        assert torch.allclose(got, front.double() @ wanted[:-1] + wanted[-1], atol=1e-4)
        spread = (back - back.mean((0, 1))).double().square().sum()
        assert unexplained == pytest.approx(float((got - back).square().sum() / spread), abs=1e-5)


@torch.no_grad()
def test_later_layers_are_fitted_to_what_arrives(tiny_net: SNNet) -> None:
    routes = ["0:0-2,1:2-3,2:3-4", "0:0-2,1:2-3,0:3-4", "2:0-2,2:3-4"]
    net = through(tiny_net, *routes)
    spaces = through(tiny_net, *(f"{cut.front}:0-{cut.leave + 1},{cut.back}:{cut.enter}-4" for cut in CUTS))
    HeldFeatures(spaces, spaces.space.layers, images(), 1000, 7).fit_along(net, list(net.space)[3:], 24)
    first = features_of(net, 0, 1)
    wanted = fitted(first, features_of(net, 1, 1))
    anchor = net.anchor(1)
    arriving = anchor.run((first.double() @ wanted[:-1] + wanted[-1]).float(), 2, 3)
    for route, back in (("0:0-2,1:2-3,2:3-4", 2), ("0:0-2,1:2-3,0:3-4", 0)):
        cut = Stitch(route).cuts[1]
        last = fitted(arriving, features_of(net, back, 2))
        layer = net.layer_named(net.space.layer_of(cut, Stitch(route).beginnings[1]).name)
        assert torch.allclose(layer.transform(arriving), (arriving.double() @ last[:-1] + last[-1]).float(), atol=1e-4)


CUTS = [Cut(0, 1, 1, 2), Cut(1, 2, 2, 3), Cut(1, 2, 0, 3), Cut(2, 1, 2, 3)]


@torch.no_grad()
@pytest.mark.parametrize("along", [8, 12])
def test_the_same_positions_are_taken_of_all_features(along: int) -> None:
    """Two anchors that are one: where rows belong together, nothing is left unexplained, and an identity is found."""
    torch.manual_seed(0)
    anchor = build_tiny_anchor(16, depth=5)
    net = through(stitch(anchor, copy.deepcopy(anchor), space="search"), "0:0-2,1:2-5", "1:0-3,0:3-5")
    held = HeldFeatures(net, net.space.layers, images(12), 9, 4)
    assert {len(rows) for rows in held.rows.values()} == {12 * 9}
    for _, solution, unexplained in held.fit():
        assert unexplained < 1e-6
        assert torch.allclose(solution.weight, torch.eye(16).double(), atol=1e-2)
    other = through(net, "0:0-2,1:2-3,0:3-5")
    held.fit_along(other, list(other.space)[2:], along)
    assert torch.allclose(other(images(), 2), net(images(), 0), atol=1e-3)


@torch.no_grad()
def test_features_that_are_not_finite_are_refused(tiny_net: SNNet) -> None:
    net = through(tiny_net, "0:0-2,1:2-4")
    net.anchor(1).model.blocks[1].mlp.fc2.bias.fill_(torch.nan)
    with pytest.raises(AnchorError, match="block 1 of anchor 1 holds NaN"):
        HeldFeatures(net, net.space.layers, images(), 9, 4)
