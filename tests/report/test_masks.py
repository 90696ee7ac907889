from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snnet.errors import TableError
from snnet.report import draw_masks

IMAGES = np.linspace(0, 1, 2 * 8 * 8).reshape(2, 8, 8)
COLORS = [(0, 0, 0), (128, 0, 0), (0, 128, 0)]
MASK = np.arange(2 * 8 * 8).reshape(2, 8, 8) % 3


def test_images_stand_above_their_masks(tmp_path: Path) -> None:
    path = draw_masks(
        IMAGES, {"truth": MASK, "10 M": MASK}, tmp_path / "masks.png", classes=("ground", "shoe", "bag"), colors=COLORS
    )
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    found = {tuple(color) for color in pixels.tolist()}
    for color in COLORS:
        assert any(max(abs(a - b) for a, b in zip(one, color, strict=True)) < 3 for one in found)


@pytest.mark.parametrize(
    ("images", "masks", "name", "message"),
    [
        (IMAGES, {"truth": MASK[:, :4]}, "m.png", r"masks of truth \(2, 4, 8\)"),
        (IMAGES[:0], {}, "m.png", "do not make a picture"),
        (IMAGES, {"truth": MASK}, "m.gif", r"end the name in \.png"),
    ],
)
def test_what_makes_no_picture(
    tmp_path: Path, images: np.ndarray, masks: dict[str, np.ndarray], name: str, message: str
) -> None:
    with pytest.raises(TableError, match=message):
        draw_masks(images, masks, tmp_path / name, classes=("a", "b", "c"), colors=COLORS)
