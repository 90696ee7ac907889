import pytest
import timm
import torch

import snnet
from snnet.anchors import load_anchor
from tests.anchors.checks import check_features, check_parameters, check_recomputing, check_segments

TINY = {"embed_dim": 12, "depths": (2, 2, 3, 1), "num_heads": (1, 2, 2, 4), "num_classes": 5, "drop_path_rate": 0.0}
VARIANTS = {
    # Grids 14, 7, 4, 2: patch merging pads, and so do the windows.
    "swin_tiny_patch4_window7_224": {"img_size": 56},
    "swin_small_patch4_window7_224": {"img_size": (64, 96), "window_size": 4, "in_chans": 1},
    "swin_s3_tiny_224": {"img_size": 64, "window_size": (4, 4, 2, 2)},
    "swin_base_patch4_window12_384": {"img_size": 48, "window_size": 3, "dynamic_img_size": True},
    "swinv2_tiny_window8_256": {"img_size": 64, "window_size": 4},
    "swinv2_base_window12to16_192to256": {"img_size": (60, 64), "window_size": 5},
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


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256"])
def test_checkpointed_blocks_give_the_same_gradients(name: str) -> None:
    check_recomputing(build(name))


def test_patch_merging_belongs_to_the_first_block_of_a_stage() -> None:
    anchor = load_anchor(build("swin_tiny_patch4_window7_224"))
    assert anchor.depths == (2, 2, 3, 1) and anchor.stages == (0, 1, 2)
    assert [anchor.feature(index).channels for index in range(-1, 8)] == [12] * 3 + [24] * 2 + [48] * 3 + [96]
    merging = [id(p) for p in anchor.model.layers[2].downsample.parameters()]
    assert merging and merging == [id(p) for p in anchor.block_parameters(4)][: len(merging)]


def test_a_set_input_size_is_followed() -> None:
    model = build("swin_tiny_patch4_window7_224")
    model.set_input_size((96, 64), window_size=7)
    anchor = load_anchor(model)
    assert anchor.input.size == (3, 96, 64)
    check_features(anchor)


def test_excluded_from_weight_decay_are_the_bias_tables() -> None:
    names = load_anchor(build("swin_tiny_patch4_window7_224")).no_weight_decay()
    assert len(names) == 8 and all(name.endswith("relative_position_bias_table") for name in names)


def test_the_published_family_has_41_stitches() -> None:
    with torch.device("meta"):
        net = snnet.stitch(*(f"swin_{size}_patch4_window7_224" for size in ("base", "tiny", "small")))
    assert len(net.space) == 41
    assert [net.anchor(number).model.embed_dim for number in range(3)] == [96, 96, 128]
