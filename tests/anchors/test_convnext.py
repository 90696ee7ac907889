"""Image sizes of ConvNeXts; what all families share is in test_families.py."""

from snnet.anchors import AnchorSource, load_anchor


def test_the_image_size_is_the_recorded_one() -> None:
    assert load_anchor("test_convnext").input.size == (3, 160, 160)
    source = AnchorSource.of("test_convnext", pretrained_cfg_overlay={"input_size": (3, 64, 32)})
    assert load_anchor(source).input.size == (3, 64, 32)
