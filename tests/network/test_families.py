"""Families of all layouts from end to end: least squares, costs, and every stitch's forward pass."""

import pytest
import timm
import torch
from timm.models.levit import LevitDistilled
from torch import nn

from snnet.init import initialize
from snnet.network import SNNet, stitch
from snnet.profiling import count_costs
from tests.anchors.checks import disturbed
from tests.init.reference import lstsq_map, relative_residual, stacked
from tests.profiling.test_macs import counted_by_a_whole_forward
from tests.profiling.test_params import elements_with_gradient


def swin(width: int, depth: int, version: str = "swin_tiny_patch4_window7_224") -> nn.Module:
    size = {"img_size": 64, "window_size": 4, "num_heads": (1, 2, 2, 4), "num_classes": 5}
    return timm.create_model(version, embed_dim=width, depths=(2, 2, depth, 1), **size)


def convnext(width: int, depth: int, name: str = "convnext_tiny") -> nn.Module:
    overlay = {"input_size": (3, 64, 64)}
    dims = tuple(width * 2**stage for stage in range(4))
    return timm.create_model(name, dims=dims, depths=(2, 2, depth, 1), num_classes=5, pretrained_cfg_overlay=overlay)


def levit(width: int) -> nn.Module:
    dims, heads = (width, width + 8, width + 16), (2, 3, 4)
    return LevitDistilled(img_size=64, embed_dim=dims, key_dim=8, num_heads=heads, depth=(2, 2, 1), num_classes=5)


def vit(name: str, width: int) -> nn.Module:
    return timm.create_model(name, embed_dim=width, depth=3, num_heads=2, img_size=64, num_classes=5)


FAMILIES = {
    "Swin": lambda: [swin(8, 2), swin(12, 4), swin(16, 4, "swinv2_tiny_window8_256")],
    "ConvNeXt": lambda: [convnext(8, 2), convnext(12, 3, "convnextv2_atto")],
    "Swin and ConvNeXt": lambda: [convnext(8, 2), swin(12, 3)],
    "LeViT": lambda: [levit(16), levit(24)],
    # Normalized by 0.5 and by ImageNet's statistics.
    "ViTs pretrained apart": lambda: [vit("vit_small_patch16_224", 16), vit("deit_base_patch16_224", 24)],
    "rotary and plain ViTs": lambda: [vit("vit_small_patch16_rope_mixed_224", 16), vit("vit_base_patch16_224", 24)],
}


@pytest.fixture(params=FAMILIES)
def net(request: pytest.FixtureRequest) -> SNNet:
    torch.manual_seed(0)
    return stitch(*map(disturbed, FAMILIES[request.param]())).eval()


def test_every_layer_equals_lstsq_on_its_stacked_rows(net: SNNet) -> None:
    images = torch.randn(20, *net.input.size)
    report = initialize(net, images)
    for layer, fit in zip(net.space.layers, report.layers, strict=True):
        a, b = stacked(net, layer, images)
        transform = net.layer(layer.cuts[0]).transform
        stored = relative_residual(a, b, transform.weight.T, transform.bias)
        assert stored == pytest.approx(relative_residual(a, b, *lstsq_map(a, b)), abs=1e-5)
        assert fit.relative_residual == pytest.approx(stored, abs=1e-5)


def test_every_stitch_runs_and_costs_what_its_forward_costs(net: SNNet) -> None:
    table = count_costs(net)
    images = torch.randn(2, *net.input.size)
    stitched = [row for row in table if not row.route.is_anchor]
    assert stitched
    for row in table:
        with torch.no_grad():
            logits = net(images, row.stitch)
        assert logits.shape == (2, 5) and logits.isfinite().all()
        assert row.macs == counted_by_a_whole_forward(net, row.stitch)
        assert row.params == elements_with_gradient(net, row.stitch)


def test_every_stitch_trains(net: SNNet) -> None:
    """In training mode all that a stitch uses gets a gradient that is not zero, and nothing else does."""
    net.train()
    images = torch.randn(4, *net.input.size)
    for route in net.space:
        net.zero_grad(set_to_none=True)
        net(images, route).square().sum().backward()
        moved = {id(p) for p in net.parameters() if p.grad is not None}
        assert moved == {id(p) for p in net.parameters_of(route)}
        assert all(layer.transform.weight.grad.abs().sum() > 0 for layer in map(net.layer, route.cuts))
