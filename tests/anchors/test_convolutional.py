"""Which models are ResNets, and families from end to end; what all families share is in test_families.py."""

from pathlib import Path

import timm
import torch
from torch import nn

import snnet
from snnet.anchors import AnchorSource, load_anchor
from tests.anchors.families import FAMILIES

SMALL = {"num_classes": 5, "pretrained_cfg_overlay": {"input_size": (3, 64, 64)}}


def small_source(blocks: int) -> AnchorSource:
    """A ResNet of 8- to 32-channel basic blocks, as many in every stage."""
    size = {"channels": (8, 12, 16, 32), "layers": (blocks,) * 4, "stem_width": 4, "stem_type": "deep"}
    return AnchorSource.of("resnet18", **SMALL, **size)


def test_dilated_networks_keep_their_size() -> None:
    anchor = load_anchor(FAMILIES["resnet"].build("resnet34"))
    assert anchor.feature(5).grid == (8, 8)


def test_resnet_18_and_50_have_ten_stitches() -> None:
    with torch.device("meta"):
        net = snnet.stitch("resnet18", "resnet50")
    assert len(net.space) == 10
    assert net.anchor(0).stages == (1, 2)
    assert {(layer.source.grid, layer.source.layout) for layer in net.layers.values()} == {
        ((28, 28), "NCHW"),
        ((14, 14), "NCHW"),
    }


def test_models_that_only_resemble_a_resnet_are_not_taken() -> None:
    assert not snnet.ANCHORS.get("resnet").accepts(timm.create_model("resnetv2_18"))


def test_finding_shapes_leaves_statistics_and_mode_alone() -> None:
    anchor = load_anchor(small_source(1)).train()
    before = {key: tensor.clone() for key, tensor in anchor.state_dict().items()}
    assert anchor.feature(0).shape == (8, 16, 16)
    assert anchor.training
    assert all(torch.equal(before[key], tensor) for key, tensor in anchor.state_dict().items())


def test_a_family_is_stitched_initialized_costed_run_and_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = snnet.stitch(small_source(2), small_source(4)).eval()
    images = torch.randn(32, 3, 64, 64)
    statistics = [m.running_mean.clone() for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    report = snnet.initialize(net, [images])
    after = [m.running_mean for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(torch.equal(*pair) for pair in zip(statistics, after, strict=True))
    assert all(0 <= layer.relative_residual < 1 for layer in report.layers)
    table = snnet.profile(net)
    assert table[0].macs < table[len(net.space) - 1].macs < table[1].macs
    net.save_pretrained(tmp_path / "net")
    again = snnet.load(tmp_path / "net")
    assert again.anchor(1).feature(7) == net.anchor(1).feature(7)
    with torch.no_grad():
        for stitch in net.space:
            assert torch.equal(net(images[:2], stitch), again(images[:2], stitch))
            assert net(images[:2], stitch).shape == (2, 5)


def test_the_image_size_is_the_recorded_one() -> None:
    assert load_anchor("test_convnext").input.size == (3, 160, 160)
    source = AnchorSource.of("test_convnext", pretrained_cfg_overlay={"input_size": (3, 64, 32)})
    assert load_anchor(source).input.size == (3, 64, 32)


def test_two_efficientnets_make_one_network() -> None:
    overlay = {"pretrained_cfg_overlay": {"input_size": (3, 64, 64)}}
    sources = [snnet.AnchorSource.of(name, num_classes=3, **overlay) for name in ("efficientnet_b0", "efficientnet_b1")]
    net = snnet.stitch(*sources).eval()
    assert net.space.depths == ((1, 2, 2, 3, 3, 4, 1), (2, 3, 3, 4, 4, 5, 2))
    with torch.no_grad():
        for stitch in net.space:
            assert net(torch.randn(1, 3, 64, 64), stitch).isfinite().all()
