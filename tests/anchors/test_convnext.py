import pytest
import timm
import torch

from snnet.anchors import AnchorSource, load_anchor
from tests.anchors.checks import check_features, check_parameters, check_recomputing, check_segments

TINY = {"dims": (8, 12, 16, 24), "depths": (1, 2, 3, 1), "num_classes": 5}


def sized(height: int, width: int) -> dict[str, object]:
    return {"pretrained_cfg_overlay": {"input_size": (3, height, width)}}


VARIANTS = {
    "convnext_tiny": sized(64, 96),
    "convnext_atto": {**sized(70, 101), "conv_mlp": True},
    "convnextv2_atto": sized(64, 64),
    # A stem of two overlapping convolutions rounds up where patches round down.
    "convnext_atto_ols": sized(69, 70),
    "convnext_base": {**sized(64, 64), "head_norm_first": True, "in_chans": 1},
    "convnext_small": {**sized(64, 64), "patch_size": 2, "head_hidden_size": 10},
    "convnext_nano": {**sized(96, 80), "output_stride": 16, "kernel_sizes": (7, 5, 5, 3)},
    "convnext_pico": {**sized(48, 48), "output_stride": 8},
}


def build(name: str) -> torch.nn.Module:
    return timm.create_model(name, **{**TINY, **VARIANTS[name]})


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("training", [False, True])
def test_segments_equal_timms_forward(name: str, training: bool) -> None:
    check_segments(build(name), training=training)


@pytest.mark.parametrize("name", VARIANTS)
def test_features_are_as_described(name: str) -> None:
    check_features(load_anchor(build(name)))


@pytest.mark.parametrize("name", VARIANTS)
def test_stem_blocks_and_head_share_out_all_parameters(name: str) -> None:
    check_parameters(load_anchor(build(name)))


def test_checkpointed_blocks_give_the_same_gradients() -> None:
    check_recomputing(build("convnextv2_atto"))


def test_the_way_into_a_stage_belongs_to_its_first_block() -> None:
    anchor = load_anchor(build("convnext_tiny"))
    assert anchor.depths == (1, 2, 3, 1) and anchor.stages == (0, 1, 2)
    assert [anchor.feature(index).channels for index in range(-1, 7)] == [8] * 2 + [12] * 2 + [16] * 3 + [24]
    strided = [id(p) for p in anchor.model.stages[1].downsample.parameters()]
    assert strided and strided == [id(p) for p in anchor.block_parameters(1)][: len(strided)]


def test_the_image_size_is_the_recorded_one() -> None:
    assert load_anchor("test_convnext").input.size == (3, 160, 160)
    source = AnchorSource.of("test_convnext", pretrained_cfg_overlay={"input_size": (3, 64, 32)})
    assert load_anchor(source).input.size == (3, 64, 32)
