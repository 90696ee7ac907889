import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snnet.data import TargetSettings
from snnet.data.corrupt import CorruptImageError
from snnet.data.masks import Legend, read_legend, read_target
from snnet.errors import DataError

MASK, DEPTH = TargetSettings(kind="mask"), TargetSettings(kind="depth")
NUMBERS = np.random.default_rng(0).integers(0, 7, (6, 9)).astype(np.uint8)
PALETTE = "road 128 64 128\nside walk, 244,35,232\nvoid #000000\nsky: #4682b4\n"


def saved(path: Path, picture: Image.Image) -> Path:
    picture.save(path)
    return path


@pytest.mark.parametrize("mode", ["L", "P", "I;16", "RGB", "RGBA", "LA", "npy", "tiff"])
def test_numbers_are_read_from_whatever_holds_them(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "mask.png"
    if mode == "npy":
        path = tmp_path / "mask.npy"
        np.save(path, NUMBERS.astype(np.int16))
    elif mode == "P":
        picture = Image.fromarray(NUMBERS, "P")
        picture.putpalette([200, 10, 30] * 256)
        picture.save(path)
    elif mode == "tiff":
        path = saved(tmp_path / "mask.tif", Image.fromarray(NUMBERS.astype(np.float32)))
    elif mode == "I;16":
        saved(path, Image.fromarray(NUMBERS.astype(np.uint16)))
    else:
        saved(path, Image.fromarray(NUMBERS).convert(mode))
    found = read_target(path, MASK, Legend())
    assert found.dtype == torch.int64
    assert np.array_equal(found.numpy(), NUMBERS)


def test_two_colors_are_two_classes(tmp_path: Path) -> None:
    path = saved(tmp_path / "mask.png", Image.fromarray(NUMBERS > 3))
    assert np.array_equal(read_target(path, MASK, Legend()).numpy(), NUMBERS > 3)


def test_numbers_are_moved_and_ignored(tmp_path: Path) -> None:
    values = np.array([[0, 1, 2, 150], [254, 255, 7, 3]], np.uint8)
    path = saved(tmp_path / "mask.png", Image.fromarray(values))
    moved = read_target(path, TargetSettings(kind="mask", offset=-1), Legend())
    assert moved.tolist() == [[255, 0, 1, 149], [253, 255, 6, 2]]
    others = read_target(path, TargetSettings(kind="mask", ignored=(255, 7, 0)), Legend())
    assert others.tolist() == [[255, 1, 2, 150], [254, 255, 255, 3]]
    with pytest.raises(CorruptImageError, match=r"mask.png \(number 255 in it\) does not decode"):
        read_target(path, TargetSettings(kind="mask", ignored=()), Legend())
    with pytest.raises(CorruptImageError, match=r"\(number 254 in it\)"):
        read_target(path, TargetSettings(kind="mask", offset=1), Legend())


def test_colors_are_classes_by_a_palette(tmp_path: Path) -> None:
    (tmp_path / "palette.txt").write_text(PALETTE)
    legend = read_legend(MASK, [tmp_path / "nowhere", tmp_path])
    assert legend.classes == ("road", "side walk", "sky")
    colors = np.array([[(128, 64, 128), (244, 35, 232)], [(0, 0, 0), (70, 130, 180)]], np.uint8)
    for picture in (Image.fromarray(colors), Image.fromarray(colors).quantize(4)):
        found = read_target(saved(tmp_path / "mask.png", picture), MASK, legend)
        assert found.tolist() == [[0, 1], [255, 2]] and found.dtype == torch.int64
    colors[0, 0] = 128, 64, 129
    path = saved(tmp_path / "mask.png", Image.fromarray(colors))
    with pytest.raises(CorruptImageError, match=r"mask.png \(color #804081, which is not in the palette\) does not"):
        read_target(path, MASK, legend)
    with pytest.raises(
        DataError, match=r"mask.png holds colors \(mode RGB\), and no palette says what they mean"
    ) as told:
        read_target(path, MASK, Legend())
    assert not isinstance(told.value, CorruptImageError)


def test_a_palette_may_be_json(tmp_path: Path) -> None:
    path = tmp_path / "colors.json"
    path.write_text(json.dumps({"road": [128, 64, 128], "side walk": "#f423e8", "Void": [0, 0, 0]}))
    legend = read_legend(TargetSettings(kind="mask", palette=path))
    assert legend == Legend(("road", "side walk"), {0x804080: 0, 0xF423E8: 1, 0: 255})


def test_names_come_from_a_file_and_depth_has_none(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("wall\n  traffic light\n\nsky\n")
    assert read_legend(MASK, [tmp_path]) == Legend(("wall", "traffic light", "sky"))
    assert read_legend(DEPTH, [tmp_path]) == read_legend(MASK, []) == Legend()
    (tmp_path / "palette.txt").write_text(PALETTE)
    assert read_legend(MASK, [tmp_path]).classes == ("road", "side walk", "sky")
    chosen = TargetSettings(kind="mask", classes=tmp_path / "classes.txt")
    assert read_legend(chosen, [tmp_path]) == Legend(("wall", "traffic light", "sky"))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("palette.txt", "road 128 64\n", "has 'road 128 64' as its entry 1, where a name and a color belong"),
        ("palette.txt", "128 64 128\n", "as its entry 1"),
        ("palette.txt", "road 128 64 300\n", "as its entry 1"),
        ("palette.txt", "\n", "names no class"),
        ("palette.txt", "road #804080\nsky #804080\n", "has the color #804080 twice, for 'sky' too"),
        ("palette.txt", "road #804080\nroad #804081\n", "names a class twice"),
        ("palette.json", "[1, 2]", "is not JSON such as"),
        ("palette.json", "{", "is not JSON such as"),
        ("palette.json", '{"road": 7}', "is not JSON such as"),
        ("classes.txt", "a\nb\na\n", "names a class twice, or more than 255"),
        ("classes.txt", "\n".join(map(str, range(256))), "names a class twice, or more than 255"),
        ("classes.txt", "", "names no class; write one a line"),
    ],
)
def test_a_file_of_classes_that_is_none(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=told):
        read_legend(MASK, [tmp_path])


def test_a_file_of_classes_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no.txt, a file of classes, cannot be read"):
        read_legend(TargetSettings(kind="mask", classes=tmp_path / "no.txt"))


@pytest.mark.parametrize("ending", ["png", "tif", "npy"])
def test_depth_has_a_scale_and_gaps(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"depth.{ending}"
    values = np.array([[0, 1500, 65535], [3, 0, 800]])
    settings = TargetSettings(kind="depth", scale=0.001)
    if ending == "png":
        saved(path, Image.fromarray(values.astype(np.uint16)))
    else:
        floats = values.astype(np.float32)
        floats[1, 1] = np.nan if ending == "npy" else -1
        np.save(path, floats) if ending == "npy" else saved(path, Image.fromarray(floats))
    found = read_target(path, settings, Legend())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor([[0, 1.5, 65.535], [0.003, 0, 0.8]]))


def test_what_is_damaged_or_of_another_shape(tmp_path: Path) -> None:
    path = tmp_path / "mask.npy"
    np.save(path, np.zeros((3, 4, 2)))
    with pytest.raises(CorruptImageError, match=r"mask.npy does not decode \(an array \(3, 4, 2\) of float64 where"):
        read_target(path, MASK, Legend())
    np.save(path, np.full((3, 4), 0.5))
    with pytest.raises(CorruptImageError, match=r"\(with fractions where classes belong\) does not decode"):
        read_target(path, MASK, Legend())
    np.save(path, np.array([[object()]]), allow_pickle=True)
    with pytest.raises(CorruptImageError, match=r"mask.npy does not decode"):
        read_target(path, MASK, Legend())
    path.write_bytes(b"\x93NUMPY")
    with pytest.raises(CorruptImageError, match=r"mask.npy does not decode"):
        read_target(path, MASK, Legend())
    (tmp_path / "mask.png").write_bytes(b"nothing")
    with pytest.raises(CorruptImageError, match=r"mask.png does not decode"):
        read_target(tmp_path / "mask.png", MASK, Legend())
    with pytest.raises(DataError, match="cannot be read"):
        read_target(tmp_path / "missing.npy", MASK, Legend())
