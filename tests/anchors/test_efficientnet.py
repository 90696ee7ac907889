import pytest
import torch

import snnet
from tests.anchors.convnets import build, check_parameters, check_segments

VARIANTS = (
    "efficientnet_b0",
    "tf_efficientnetv2_b0",
    "mobilenetv2_050",
    "mixnet_s",
    "mnasnet_small",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small_035",
    "lcnet_050",
)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("training", [False, True])
def test_segments_equal_timms_forward(name: str, training: bool) -> None:
    check_segments(build(name), training=training)


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenetv3_small_050", "mobilenetv4_conv_small_035"])
def test_stem_blocks_and_head_share_out_all_parameters(name: str) -> None:
    check_parameters(build(name))


def test_grids_are_those_of_any_image_size() -> None:
    check_segments(build("efficientnet_b0", (1, 75, 50)), training=False)


def test_two_efficientnets_make_one_network() -> None:
    overlay = {"pretrained_cfg_overlay": {"input_size": (3, 64, 64)}}
    sources = [snnet.AnchorSource.of(name, num_classes=3, **overlay) for name in ("efficientnet_b0", "efficientnet_b1")]
    net = snnet.stitch(*sources).eval()
    assert net.space.depths == ((1, 2, 2, 3, 3, 4, 1), (2, 3, 3, 4, 4, 5, 2))
    with torch.no_grad():
        for stitch in net.space:
            assert net(torch.randn(1, 3, 64, 64), stitch).isfinite().all()
