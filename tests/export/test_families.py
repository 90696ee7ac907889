"""Stitches of every embedded family, and of the DeiTs at their own size, agree with the network as ONNX graphs.

An export takes seconds, so one of Swins and one from convolutions to a ViT stand for all; `-m slow` takes every one.
"""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from snnet.anchors import EMBEDDED_FAMILIES
from snnet.data import calibration_images, open_dataset
from snnet.export import INPUT, OUTPUT, onnx_model
from snnet.init import has_batch_norm, recalibrate
from snnet.network import SNNet, stitch
from snnet.space import Stitch
from tests.helpers.onnx import open_session

pytest.importorskip("onnx", reason="the package onnx is not installed")

DEITS = tuple(f"deit_{size}_patch16_224" for size in ("tiny", "small", "base"))


def family(name: str, *stitches: int) -> tuple[SNNet, torch.Tensor]:
    """Return a network with the embedded weights, stitches recalibrated where that matters, and real images."""
    torch.manual_seed(0)
    net = stitch(*EMBEDDED_FAMILIES[name], pretrained=True).eval()
    images = calibration_images(open_dataset("embedded", input=net.input), 16)
    if has_batch_norm(net):
        recalibrate(net, images, stitches=[net.space[number] for number in stitches] or None)
        assert len(net.statistics)
    return net, images


def relative_error(net: SNNet, route: Stitch, images: torch.Tensor, batches: Sequence[int]) -> float:
    """Return the largest difference of a logit, relative to the largest, over batches of several sizes."""
    model: Any = onnx_model(net.at(route).to_module(share=True), images[:2])
    session = open_session(model)
    worst = 0.0
    with torch.no_grad():
        for size in batches:
            expected = net(images[:size], route)
            found = torch.from_numpy(session.run([OUTPUT], {INPUT: images[:size].numpy()})[0])
            worst = max(worst, ((found - expected).abs().max() / expected.abs().max()).item())
    return worst


@pytest.mark.parametrize(("name", "number"), [("swin", 4), pytest.param("cnn-vit", 5, marks=pytest.mark.slow)])
def test_a_spread(name: str, number: int) -> None:
    net, images = family(name, number)
    noise = torch.randn(3, *net.input.size, generator=torch.Generator().manual_seed(number))
    assert relative_error(net, net.space[number], torch.cat([noise, images]), (1, 3, 19)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", EMBEDDED_FAMILIES)
def test_every_stitch(name: str) -> None:
    net, images = family(name)
    errors = {route.id: relative_error(net, route, images, (1, 2, 16)) for route in net.space}
    assert {route: error for route, error in errors.items() if not error < 1e-4} == {}


@pytest.mark.slow
def test_every_stitch_of_the_deits_at_224() -> None:
    torch.manual_seed(0)
    net = stitch(*DEITS).eval()
    assert len(net.space) == 71
    images = torch.randn(2, *net.input.size)
    errors = {route.id: relative_error(net, route, images, (1, 2)) for route in net.space}
    assert {route: error for route, error in errors.items() if not error < 1e-4} == {}
