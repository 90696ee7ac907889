import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from timm.data import create_transform

from snnet.data import CleanTransform, normalized_pixels, open_picture, pictures_in
from snnet.data.corrupt import CorruptImageError
from snnet.data.pictures import to_rgb
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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.png"
    noise(20, 30).save(path, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(path))
    assert np.array_equal(np.asarray(to_rgb(open_picture(path))), np.asarray(upright))
    assert (upright.size == (20, 30)) == (orientation > 4)


def test_damaged_exif_data_say_nothing(tmp_path: Path) -> None:
    noise(20, 30).save(tmp_path / "photo.jpg", exif=b"Exif\x00\x00nonsense" + struct.pack("<I", 9))
    assert to_rgb(open_picture(tmp_path / "photo.jpg")).size == (30, 20)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_white(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (8, 4), (10, 10, 10, 0))
    picture.paste((10, 10, 10, 255), (0, 0, 4, 4))
    if mode == "P":
        picture = Image.new("P", (8, 4), 1)
        picture.putpalette([10, 10, 10, 90, 0, 0])
        picture.paste(0, (0, 0, 4, 4))
        picture.info["transparency"] = 1
    picture.convert(mode).save(tmp_path / "icon.png", **({"transparency": 1} if mode == "P" else {}))
    pixels = np.asarray(to_rgb(open_picture(tmp_path / "icon.png")))
    assert (pixels[:, :4] == 10).all() and (pixels[:, 4:] == 255).all()


def test_half_transparent_is_half_white() -> None:
    [[pixel]] = np.asarray(to_rgb(Image.new("RGBA", (1, 1), (0, 0, 255, 128))))
    assert pixel.tolist() == [127, 127, 255]


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
    with pytest.raises(DataError, match="is a folder of 1 images; give the path of an image"):
        open_picture(tmp_path)


def test_a_filter_that_pillow_does_not_have(rgb: InputSpec) -> None:
    spec = InputSpec(rgb.size, rgb.mean, rgb.std, "bicubik")
    with pytest.raises(DataError, match=r"interpolation 'bicubik'; accepted: nearest, .* Did you mean 'bicubic'"):
        normalized_pixels(noise(40, 50), spec)


def test_pictures_in_a_folder_at_any_depth(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/c.PNG", "a/.hidden.jpg", "a/notes.txt", "a/d/e.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in pictures_in(tmp_path)] == ["a/c.PNG", "a/d/e.webp", "b.jpg"]
