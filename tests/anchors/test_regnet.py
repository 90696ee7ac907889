import pytest
import torch

import snnet
from tests.anchors.convnets import build, check_parameters, check_segments


@pytest.mark.parametrize("name", ["regnetx_002", "regnety_004", "regnetz_005", "regnetv_040"])
@pytest.mark.parametrize("training", [False, True])
def test_segments_equal_timms_forward(name: str, training: bool) -> None:
    check_segments(build(name), training=training)


@pytest.mark.parametrize("name", ["regnety_002", "regnetz_005"])
def test_stem_blocks_and_head_share_out_all_parameters(name: str) -> None:
    check_parameters(build(name))


def test_grids_are_those_of_any_image_size() -> None:
    check_segments(build("regnetx_002", (2, 70, 45)), training=False)


def test_the_middle_stages_are_stitched() -> None:
    with torch.device("meta"):
        net = snnet.stitch("regnety_002", "regnety_004")
    # Stages of 1, 1, 4, 7 and of 1, 3, 6, 6 blocks: two forward cuts in the second, five in the third.
    assert net.space.depths == ((1, 1, 4, 7), (1, 3, 6, 6))
    assert len(net.space) == 2 + 2 + 5


def test_checkpointed_blocks_give_the_same_gradients() -> None:
    anchor = build("regnetx_002").train()
    images = torch.randn(4, 3, 64, 64)
    gradients = []
    for enable in (False, True):
        anchor.model.set_grad_checkpointing(enable)
        assert anchor.checkpointing is enable
        anchor.zero_grad()
        anchor.head(anchor.run(anchor.stem(images), 0, anchor.depth)).sum().backward()
        gradients.append(anchor.model.s2.b1.conv1.conv.weight.grad.clone())
    torch.testing.assert_close(*gradients)
