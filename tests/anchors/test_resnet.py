from pathlib import Path

import pytest
import timm
import torch
from torch import nn

import snnet
from snnet.anchors import AnchorSource, load_anchor
from tests.anchors.convnets import build, check_parameters, check_segments

VARIANTS = (
    "resnet18",
    "resnet50",
    "resnet26t",
    "resnet50d",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "seresnext26d_32x4d",
    "ecaresnet26t",
    "resnet50c",
    "resnetrs50",
)
SMALL = {"num_classes": 5, "pretrained_cfg_overlay": {"input_size": (3, 64, 64)}}


def small_source(blocks: int) -> AnchorSource:
    """A ResNet of 8- to 32-channel basic blocks, as many in every stage."""
    size = {"channels": (8, 12, 16, 32), "layers": (blocks,) * 4, "stem_width": 4, "stem_type": "deep"}
    return AnchorSource.of("resnet18", **SMALL, **size)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("training", [False, True])
def test_segments_equal_timms_forward(name: str, training: bool) -> None:
    check_segments(build(name), training=training)


@pytest.mark.parametrize("size", [(1, 64, 64), (3, 90, 58), (4, 33, 47)])
def test_grids_are_those_of_any_image_size(size: tuple[int, int, int]) -> None:
    anchor = build("resnet18", size)
    assert anchor.input.size == size
    check_segments(anchor, training=False)


@pytest.mark.parametrize("name", ["resnet18", "resnet50d"])
def test_stem_blocks_and_head_share_out_all_parameters(name: str) -> None:
    check_parameters(build(name))


def test_dilated_networks_keep_their_size() -> None:
    anchor = build("resnet18", output_stride=8)
    assert anchor.feature(7).grid == (8, 8)
    check_segments(anchor, training=False)


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


def test_checkpointed_blocks_give_the_same_gradients() -> None:
    anchor = build("resnet18").train()
    images = torch.randn(4, 3, 64, 64)
    gradients = []
    for enable in (False, True):
        anchor.model.set_grad_checkpointing(enable)
        anchor.zero_grad()
        anchor.head(anchor.run(anchor.stem(images), 0, anchor.depth)).sum().backward()
        gradients.append(anchor.model.layer2[0].conv1.weight.grad.clone())
    torch.testing.assert_close(*gradients)


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
