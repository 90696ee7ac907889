import pytest
import timm
import torch
from timm.models.hiera import Hiera

import snnet
from snnet.anchors import AnchorSource, load_anchor
from snnet.errors import AnchorError
from tests.anchors.checks import check_features, check_parameters, check_recomputing, check_segments, disturbed

TINY = {"embed_dim": 8, "num_heads": 1, "stages": (1, 2, 3, 1), "num_classes": 5, "head_init_scale": 1.0}
VARIANTS = {
    # Grids 16x24, 8x12, 4x6, 2x3 of 2x3 mask units.
    "hiera_tiny_224": {"img_size": (64, 96)},
    "hiera_base_224": {"img_size": (64, 32), "in_chans": 1},
    # Positions within a mask unit, and others enlarged to the grid.
    "hiera_small_abswin_256": {"img_size": (96, 64), "init_values": 0.1},
    # Tokens end in the order of mask units; the last stage is wider and no smaller.
    "two poolings": {"img_size": (64, 96), "q_pool": 2, "stages": (2, 2, 1, 2), "use_expand_proj": False},
}


def build(name: str, **options: object) -> torch.nn.Module:
    settings = {**TINY, **VARIANTS[name], **options}
    return timm.create_model(name, **settings) if name.startswith("hiera") else Hiera(**settings)


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
    check_recomputing(build("hiera_tiny_224"))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_feature_map_is_the_one_that_timm_rolls_up(name: str) -> None:
    model = build(name).eval()
    anchor = load_anchor(model)
    images = torch.randn(2, *anchor.input.size)
    with torch.no_grad():
        _, expected = model.forward_intermediates(images, output_fmt="NHWC", coarse=False)
        features = anchor.stem(images)
        for index in range(anchor.depth):
            features = anchor.block(index, features)
            torch.testing.assert_close(features, expected[index])


def test_features_are_where_the_image_is() -> None:
    """A spot of the image reaches its mask unit and no other as long as attention stays within these."""
    anchor = load_anchor(disturbed(build("hiera_tiny_224"))).eval()
    images = torch.zeros(2, *anchor.input.size)
    images[1, :, 40:44, 20:24] = 5.0
    with torch.no_grad():
        without, spotted = anchor.run(anchor.stem(images), 0, 3)
    rows, columns = ((without - spotted).abs().sum(-1) > 1e-6).nonzero().T
    # The mask unit of rows 32 to 63 and columns 0 to 31 of the image.
    assert set(rows.tolist()) == {4, 5, 6, 7} and set(columns.tolist()) == {0, 1, 2, 3}


def test_stages_of_one_block_and_the_last_are_not_stitched() -> None:
    anchor = load_anchor(build("hiera_tiny_224"))
    assert anchor.depths == (1, 2, 3, 1) and anchor.stages == (1, 2)
    assert load_anchor(build("hiera_tiny_224", stages=(2, 1, 2, 2))).stages == (0, 2)
    assert [anchor.feature(index).channels for index in range(-1, 7)] == [8] * 2 + [16] * 2 + [32] * 3 + [64]


def test_a_route_to_another_family_starts_from_maps() -> None:
    size = {"img_size": (64, 96), "num_classes": 5}
    hiera = AnchorSource.of("hiera_tiny_224", embed_dim=8, stages=(1, 2, 2, 1), **size)
    swin = AnchorSource.of("swin_tiny_patch4_window7_224", embed_dim=12, depths=(1, 2, 2, 1), window_size=2, **size)
    net = snnet.stitch(hiera, swin, sort=False, stages=(1, 2)).eval()
    assert len(net.space) == 4
    with torch.no_grad():
        assert all(net(torch.randn(1, *net.input.size), stitch).isfinite().all() for stitch in net.space)


def test_what_drops_mask_units_is_refused() -> None:
    with pytest.raises(AnchorError, match=r"drops mask units in training \(patch_drop_rate=0.5\).*patch_drop_rate=0\."):
        load_anchor(build("hiera_tiny_224", patch_drop_rate=0.5))


def test_excluded_from_weight_decay_are_positions() -> None:
    assert load_anchor(build("hiera_tiny_224")).no_weight_decay() == {"pos_embed"}


@pytest.mark.parametrize(
    ("small", "large", "stitches"),
    [("hiera_tiny_224", "hiera_small_224", 13), ("hiera_base_224", "hiera_base_plus_224", 20)],
)
def test_neighbors_have_so_many_stitches(small: str, large: str, stitches: int) -> None:
    with torch.device("meta"):
        net = snnet.stitch(large, small)
    assert [net.anchor(number).name for number in range(2)] == [small, large]
    assert len(net.space) == stitches
