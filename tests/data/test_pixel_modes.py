import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from timm.data import create_transform

from snnet.data import Augmentation, CleanTransform, CorruptImageError, open_picture, train_transform
from snnet.data.pixel_modes import MODES, to_rgb
from snnet.data.seeding import seeded
from snnet.space import InputSpec

RAMP = np.tile(np.arange(256, dtype=np.uint8), (4, 1))


def noise(height: int, width: int) -> Image.Image:
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def opaque(mode: str) -> Image.Image:
    """Return the same grey ramp in any mode."""
    grey = Image.fromarray(RAMP)
    if mode == "La":
        return grey.convert("LA").convert("La")
    if mode == "RGBa":
        return grey.convert("RGBA").convert("RGBa")
    if mode == "I":
        return Image.fromarray(RAMP.astype(np.int32) * 257)
    if mode == "F":
        return Image.fromarray(RAMP.astype(np.float32) / 255)
    if mode.startswith("I;16"):
        order = ">" if mode.endswith("B") else "<"
        return Image.frombytes(mode, grey.size, (RAMP.astype(np.uint16) * 257).astype(f"{order}u2").tobytes())
    if mode in ("LAB", "HSV", "YCbCr"):
        return grey.convert("RGB").convert(mode)
    return grey.convert(mode)


def test_the_table_has_all_modes_of_pillow() -> None:
    assert {*MODES} == {*Image.MODES}


@pytest.mark.parametrize("mode", sorted(MODES))
def test_a_ramp_is_the_same_in_every_mode(mode: str) -> None:
    picture = opaque(mode)
    assert picture.mode == mode
    pixels = np.asarray(to_rgb(picture)).astype(int)
    wanted = np.asarray(Image.fromarray(RAMP).convert("1").convert("L")) if mode == "1" else RAMP
    coarse = {"LAB": 2, "YCbCr": 1}.get(mode, 0)
    assert pixels.shape == (4, 256, 3)
    assert np.abs(pixels - wanted[..., None]).max() <= coarse


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode in ("LA", "La", "PA", "RGBA", "RGBa")])
def test_what_is_clear_is_white_in_every_mode(mode: str) -> None:
    clear = Image.new("LA" if mode == "La" else "RGBA", (3, 2))
    assert (np.asarray(to_rgb(clear.convert(mode))) == 255).all()


def saved(name: str, make: Callable[[], Image.Image], path: Path) -> Image.Image:
    make().save(path / name)
    return open_picture(path / name)


def whole(kind: type, white: float, count: int = 28) -> Callable[[], Image.Image]:
    values = np.linspace(0, white, count * count).reshape(count, count)
    return lambda: Image.fromarray(values.astype(kind))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x.pgm", whole(np.uint16, 65535)),
        ("x.png", whole(np.uint16, 65535)),
        ("x.tif", whole(np.uint16, 65535)),
        ("x.tif", whole(np.int32, 65535)),
        ("x.tif", whole(np.int32, 2**31 - 1)),
        ("x.tif", whole(np.float32, 1)),
        ("x.tif", whole(np.float32, 255)),
        ("x.pfm", whole(np.float32, 1)),
    ],
)
def test_a_ramp_from_black_to_white_has_mean_one_half(
    tmp_path: Path, name: str, make: Callable[[], Image.Image]
) -> None:
    pixels = np.asarray(to_rgb(saved(name, make, tmp_path))) / 255
    assert abs(pixels.mean() - 0.5) < 0.005
    assert (pixels.min(), pixels.max()) == (0, 1)


def test_a_dark_picture_of_sixteen_bits_stays_dark_where_the_format_says_so(tmp_path: Path) -> None:
    picture = saved("x.pgm", lambda: Image.fromarray(np.full((4, 4), 512, np.uint16)), tmp_path)
    assert (np.asarray(to_rgb(picture)) == 2).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((2, 2), -1, np.int32), "'I' pixels range from -1 to -1"),
        (np.full((2, 2), 200, np.int32), "range from 200 to 200, and white is taken to be 65535 or 2147483647"),
        (np.full((2, 2), 70_000, np.int32), r"range from 70000 to 70000"),
        (np.full((2, 2), 1.3, np.float32), r"'F' pixels range from 1.3 to 1.3, and white is taken to be 1 or 255"),
        (np.full((2, 2), 300, np.float32), "range from 300 to 300"),
        (np.full((2, 2), np.nan, np.float32), "range from nan to nan"),
        (np.full((2, 2), -0.5, np.float32), "range from -0.5 to -0.5"),
    ],
)
def test_a_range_that_cannot_be_told_is_refused_by_name(tmp_path: Path, values: np.ndarray, words: str) -> None:
    Image.fromarray(values).save(tmp_path / "x.tif")
    with pytest.raises(CorruptImageError, match=rf"x\.tif does not decode \(its .*{words}"):
        to_rgb(open_picture(tmp_path / "x.tif"))


def test_all_black_is_black_whatever_the_range() -> None:
    for kind in (np.int32, np.float32):
        assert not np.asarray(to_rgb(Image.fromarray(np.zeros((2, 2), kind)))).any()


def test_a_mode_that_is_not_known_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(MODES, "HSV")
    with pytest.raises(CorruptImageError, match=r"A picture does not decode \(its pixel mode is 'HSV'; accepted: 1,"):
        to_rgb(Image.new("HSV", (1, 1)))


def test_sixteen_bits_with_a_clear_grey(tmp_path: Path) -> None:
    values = np.array([[0, 1000, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png", transparency=0)
    picture = open_picture(tmp_path / "x.png")
    picture.info.setdefault("transparency", 0)  # older Pillows do not write it
    assert np.asarray(to_rgb(picture))[0, :, 0].tolist() == [255, 3, 255]


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


def test_a_turn_comes_with_every_mode(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, picture in {"x.tif": whole(np.uint16, 65535)(), "x.png": opaque("RGBA")}.items():
        picture.resize((30, 20)).save(tmp_path / name, exif=exif)
        assert to_rgb(open_picture(tmp_path / name)).size == (20, 30)


def test_not_turned_is_as_timm_reads(tmp_path: Path, rgb: InputSpec) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(40, 50).save(tmp_path / "photo.png", exif=exif)
    timms = create_transform(
        rgb.size, mean=rgb.mean, std=rgb.std, interpolation=rgb.interpolation, crop_pct=rgb.crop_pct
    )(Image.open(tmp_path / "photo.png").convert("RGB"))
    assert torch.equal(CleanTransform(rgb, upright=False)(tmp_path / "photo.png"), timms)
    assert not torch.equal(CleanTransform(rgb)(tmp_path / "photo.png"), timms)


def test_training_images_are_turned_or_not(tmp_path: Path, rgb: InputSpec) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    noise(40, 50).save(tmp_path / "photo.png", exif=exif)
    plain = Augmentation(scale=(1, 1), ratio=(1, 1), hflip=0, auto_augment=None, color_jitter=None, re_prob=0)
    square = replace(rgb, size=(3, 40, 40))
    turned, kept = (
        train_transform(square, plain, upright=upright)(open_picture(tmp_path / "photo.png"))
        for upright in (True, False)
    )
    with seeded(0):
        torch.testing.assert_close(turned, kept.flip(1, 2))
