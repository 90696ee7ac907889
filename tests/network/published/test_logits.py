"""What a published file computes on every route, against a reference that shares no code with the package."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

import snnet
from snnet.network import SNNet
from tests.network.published.official import official_state, save_state
from tests.network.published.reference_routes import FAMILIES, ReferenceNetwork

RELATIVE = 1e-9
"""How far logits may differ in float64, as a part of the largest; rounding alone makes some 1e-14 of it."""
SLOW = ("deit_ti_s_b", "swin_ti_s_b")
SAMPLE = ("0:0-12", "0:0-6,1:5-12", "0:0-12,1:11-12", "1:0-11,2:11-12")
SIDES = {"resnet18_50": 96}
"""Pixels of the images where they need not be 224."""


def load_both(family: str, directory: Path) -> tuple[SNNet, ReferenceNetwork]:
    """Return a network as read from a file, and the reference on what was written there, both in float64."""
    state = official_state(family)
    file = save_state(state, directory / f"{family}.pth")
    net = snnet.load(file, family=family).double()
    file.unlink()  # hundreds of MB, which pytest would keep
    side = SIDES.get(family, 224)
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return net, ReferenceNetwork(family, {name: tensor.double() for name, tensor in state.items()}, images)


@torch.no_grad()
def differing(net: SNNet, reference: ReferenceNetwork, routes: Iterable[str]) -> dict[str, float]:
    """Return the routes that are not the reference's, with their largest difference as a part of the largest logit."""
    differences: dict[str, float] = {}
    for route in routes:
        found, expected = net(reference.images, route), reference.logits(route)
        differences[route] = ((found - expected).abs().max() / expected.abs().max()).item()
    return {route: value for route, value in differences.items() if not value < RELATIVE}  # a NaN differs


@pytest.mark.parametrize("family", [pytest.param(f, marks=[pytest.mark.slow] if f in SLOW else []) for f in FAMILIES])
def test_every_route_computes_what_the_published_network_does(family: str, tmp_path: Path) -> None:
    net, reference = load_both(family, tmp_path)
    assert [str(stitch) for stitch in net.space] == list(reference.routes)
    assert differing(net, reference, reference.routes) == {}


def test_some_routes_of_deit_do_so(tmp_path: Path) -> None:
    net, reference = load_both("deit_ti_s_b", tmp_path)
    assert differing(net, reference, SAMPLE) == {}
