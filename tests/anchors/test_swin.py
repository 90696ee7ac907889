"""Image sizes of Swin transformers; what all families share is in test_families.py."""

from tests.anchors.checks import check_segments
from tests.anchors.families import FAMILIES


def test_a_set_input_size_is_followed() -> None:
    model = FAMILIES["swin"].build("swin_tiny_patch4_window7_224")
    model.set_input_size((96, 64), window_size=7)
    assert check_segments(model, training=False).input.size == (3, 96, 64)
