"""The order of a Hiera's tokens; what all families share is in test_families.py."""

import pytest
import torch

import snnet
from snnet.anchors import AnchorSource, load_anchor
from snnet.errors import AnchorError
from tests.anchors.checks import disturbed
from tests.anchors.families import FAMILIES

build = FAMILIES["hiera"].build


@pytest.mark.parametrize("name", FAMILIES["hiera"].variants)
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
    assert anchor.stages == (1, 2)
    assert load_anchor(build("hiera_tiny_224", stages=(2, 1, 2, 2))).stages == (0, 2)


def test_a_route_to_another_family_starts_from_maps() -> None:
    size = {"img_size": (64, 96), "num_classes": 5}
    hiera = AnchorSource.of("hiera_tiny_224", embed_dim=8, stages=(1, 2, 2, 1), **size)
    swin = AnchorSource.of("swin_tiny_patch4_window7_224", embed_dim=12, depths=(1, 2, 2, 1), window_size=2, **size)
    net = snnet.stitch(hiera, swin, stages=(1, 2)).eval()
    assert len(net.space) == 4
    with torch.no_grad():
        assert all(net(torch.randn(1, *net.input.size), stitch).isfinite().all() for stitch in net.space)


def test_what_drops_mask_units_is_refused() -> None:
    with pytest.raises(AnchorError, match=r"drops mask units in training \(patch_drop_rate=0.5\).*patch_drop_rate=0\."):
        load_anchor(build("hiera_tiny_224", patch_drop_rate=0.5))
