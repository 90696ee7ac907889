from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform

from snnet.data import CleanTransform, normalized_pixels, open_picture
from snnet.data.corrupt import CorruptImageError
from snnet.errors import DataError
from snnet.space import InputSpec

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(height: int, width: int) -> Image.Image:
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("shape", [(40, 50), (97, 31), (32, 32), (36, 36), (5, 300), (28, 28), (1, 1), (36, 37)])
@pytest.mark.parametrize("size", [(32, 32), (24, 40), (41, 17), (224, 224)])
@pytest.mark.parametrize(
    ("filter_", "crop"), [("bicubic", 0.875), ("bilinear", 1.0), ("nearest", 0.9), ("lanczos", 0.95)]
)
def test_pixels_are_those_of_timm_to_the_last_bit(
    shape: tuple[int, int], size: tuple[int, int], filter_: str, crop: float
) -> None:
    picture = noise(*shape)
    timms = create_transform((3, *size), mean=MEAN, std=STD, interpolation=filter_, crop_pct=crop)(picture)
    ours = normalized_pixels(picture, InputSpec((3, *size), MEAN, STD, filter_, crop))
    assert ours.dtype == np.float32 and ours.flags.c_contiguous
    assert np.array_equal(ours, timms.numpy())


@pytest.mark.parametrize("size", [(28, 28), (32, 20)])
def test_grey_pixels_are_a_channel_of_three_equal_ones(size: tuple[int, int]) -> None:
    picture = noise(61, 45)
    timms = create_transform((3, *size), mean=(0.286,) * 3, std=(0.353,) * 3, interpolation="bicubic", crop_pct=0.9)
    ours = normalized_pixels(picture, InputSpec((1, *size), (0.286,), (0.353,), "bicubic", 0.9))
    assert np.array_equal(ours, timms(picture.convert("L").convert("RGB"))[:1].numpy())


def test_every_value_of_a_pixel() -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    [ours] = normalized_pixels(ramp, InputSpec((1, 16, 16), (0.286,), (0.353,), "bilinear", 1.0))
    pixels = torch.arange(256).reshape(16, 16).float().div_(255)
    assert np.array_equal(ours, pixels.sub_(torch.tensor(0.286)).div_(torch.tensor(0.353)).numpy())


def test_a_transform_takes_paths(tmp_path: Path, rgb: InputSpec) -> None:
    noise(40, 50).save(tmp_path / "photo.png")
    transform = CleanTransform(rgb)
    assert torch.equal(transform(tmp_path / "photo.png"), transform(noise(40, 50)))
    assert torch.equal(transform(str(tmp_path / "photo.png")), transform(noise(40, 50)))


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no image")
    with pytest.raises(CorruptImageError, match=r"notes\.jpg is not an image that Pillow reads, or a damaged one"):
        open_picture(tmp_path / "notes.jpg")
    with pytest.raises(DataError, match=r"nothing\.jpg cannot be read \(No such file or directory\)"):
        open_picture(tmp_path / "nothing.jpg")
    with pytest.raises(DataError, match="is a folder of 1 image; give the path of an image"):
        open_picture(tmp_path)


def test_a_filter_that_pillow_does_not_have(rgb: InputSpec) -> None:
    spec = InputSpec(rgb.size, rgb.mean, rgb.std, "bicubik")
    with pytest.raises(DataError, match=r"interpolation 'bicubik'; accepted: nearest, .* Did you mean 'bicubic'"):
        normalized_pixels(noise(40, 50), spec)
