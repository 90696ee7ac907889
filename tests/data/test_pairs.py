import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from snnet.data import (
    DenseAugmentation,
    ImageDataset,
    TargetSettings,
    TrainBatches,
    eval_batches,
    open_dataset,
    open_pair,
)
from snnet.data.pairs import PairSource
from snnet.errors import DataError
from snnet.space import InputSpec
from tests.data.image_files import truncate, write_image

CLASSES = ("wall", "floor", "sky")


def write_pairs(images: Path, masks: Path, count: int = 6, ending: str = "jpg", suffix: str = "") -> None:
    """Write images of 40x50 pixels, and masks whose first pixel is the number of the image, modulo 3."""
    masks.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        write_image(images / f"{number}.{ending}", number)
        values = np.full((40, 50), number % 3, np.uint8)
        values[:, 25:] = 1
        Image.fromarray(values).save(masks / f"{number}{suffix}.png")


def write_classes(root: Path) -> None:
    (root / "classes.txt").write_text("\n".join(CLASSES))


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """`images` and `masks` of 10 pairs, without splits."""
    root = tmp_path / "rooms"
    write_pairs(root / "images", root / "masks", 10)
    write_classes(root)
    return root


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    """`train` and `val` of 6 pairs each, each with `images` and `masks`."""
    root = tmp_path / "rooms"
    for split in ("train", "val"):
        write_pairs(root / split / "images", root / split / "masks")
    write_classes(root)
    return root


def opened(root: Path, rgb: InputSpec, split: str = "train", **options: Any) -> ImageDataset:
    images = open_dataset("folder", root, split, input=rgb, **{"target": "mask"} | options)
    assert isinstance(images, ImageDataset)
    return images


def firsts(images: ImageDataset) -> list[int]:
    return [int(images[place][1][0, 0]) for place in range(len(images))]  # type: ignore[index]


LAYOUTS = [
    ("train/images", "train/masks", "validation/images", "validation/masks"),
    ("training/Images", "training/annotations", "val/image", "val/labels"),
    ("images/training", "annotations/training", "images/validation", "annotations/validation"),
    ("leftImg8bit/train/a", "gtFine/train/a", "leftImg8bit/val/b", "gtFine/val/b"),
    ("JPEGImages/train", "SegmentationClass/train", "JPEGImages/test", "SegmentationClass/test"),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_usual_layouts_are_known(tmp_path: Path, rgb: InputSpec, layout: tuple[str, ...]) -> None:
    write_pairs(tmp_path / layout[0], tmp_path / layout[1])
    write_pairs(tmp_path / layout[2], tmp_path / layout[3], 4, "png")
    write_classes(tmp_path)
    train, validation = open_pair("folder", tmp_path, input=rgb, target="mask")
    assert isinstance(train, ImageDataset) and isinstance(validation, ImageDataset)
    assert train.classes == validation.classes == CLASSES
    assert (firsts(train), firsts(validation)) == ([0, 1, 2, 0, 1, 2], [0, 1, 2, 0])
    image, mask = train[2]
    assert image.shape == (3, 32, 32) and isinstance(mask, torch.Tensor) and mask.shape == (32, 32)
    assert mask[:, :15].unique().tolist() == [2] and mask[:, 17:].unique().tolist() == [1]


def test_names_may_have_suffixes(tmp_path: Path, rgb: InputSpec, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path
    write_pairs(root / "images", root / "masks", suffix="_gtFine_labelIds")
    for path in (root / "images").iterdir():
        path.rename(path.with_name(f"{path.stem}_leftImg8bit.jpg"))
    Image.new("RGB", (50, 40)).save(root / "masks" / "0_gtFine_color.png")
    (root / "masks" / "0_gtFine_polygons.json").write_text("{}")
    write_classes(root)
    settings = TargetSettings(kind="mask", suffix="_gtFine_labelIds", image_suffix="_leftImg8bit")
    with caplog.at_level(logging.INFO):
        assert firsts(opened(root, rgb, target=settings)) == [0, 1, 2, 0, 1, 2]
    assert "left out, by ending: 1 .json, 1 without _gtFine_labelIds" in caplog.text
    with pytest.raises(DataError, match=r"files of a pair bear the same name, as 0_leftImg8bit does not with 0_gtFine"):
        opened(root, rgb)


def test_without_splits_a_fifth_is_held_out_by_name(
    whole: Path, rgb: InputSpec, caplog: pytest.LogCaptureFixture
) -> None:
    train, validation = open_pair("folder", whole, input=rgb, target="mask", augment=DenseAugmentation())
    assert (len(train), len(validation)) == (8, 2)
    assert isinstance(train, ImageDataset) and isinstance(validation, ImageDataset)
    held = {validation.source.describe(place) for place in range(2)}
    assert not held & {train.source.describe(place) for place in range(8)}
    assert "holds images and what comes with them but no splits: of its 10 images, 8 are for training and 2 are" in (
        caplog.text
    )
    again = open_pair("folder", whole, input=rgb, target="mask")[1]
    assert isinstance(again, ImageDataset) and held == {again.source.describe(place) for place in range(2)}
    write_pairs(whole / "more", whole / "others", 1)
    (whole / "images").rename(whole / "old")
    (whole / "more").rename(whole / "images")
    with pytest.raises(DataError, match="max_corrupt=0"):
        open_pair("folder", whole, input=rgb, target="mask", max_corrupt=0)


def test_a_single_pair_cannot_be_held_out(tmp_path: Path, rgb: InputSpec) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks", 1)
    write_classes(tmp_path)
    with pytest.raises(DataError, match="holds no splits and a single image, so none can be held out"):
        open_pair("folder", tmp_path, input=rgb, target="mask")


def test_what_lacks_its_other_half_is_known_at_the_start(divided: Path, rgb: InputSpec) -> None:
    (divided / "train" / "images" / "3.jpg").unlink()
    (divided / "train" / "masks" / "1.png").unlink()
    expected = (
        r"2 of 6 images do not decode, more than max_corrupt=1: .*images/1.jpg \(without mask\), "
        r".*masks/3.png \(without an image\); repair or remove"
    )
    with pytest.raises(DataError, match=expected):
        opened(divided, rgb, max_corrupt=1)
    images = opened(divided, rgb)
    assert len(images) == 6 and len(images.skipped) == 2
    assert eval_batches(images, 4).images == 4
    assert torch.cat([masks[:, 0, 0] for _, masks in eval_batches(images, 4)]).tolist() == [0, 2, 1, 2]
    assert sum(len(masks) for _, masks in TrainBatches(images, 3).epoch(0)) == 6


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_pairs_are_counted_and_named(divided: Path, rgb: InputSpec, workers: int) -> None:
    folder = divided / "train"
    truncate(folder / "images" / "0.jpg")
    truncate(folder / "masks" / "1.png").write_bytes(b"nothing")
    Image.new("L", (40, 40)).save(folder / "masks" / "2.png")
    Image.new("L", (50, 40), 3).save(folder / "masks" / "3.png")
    images = opened(divided, rgb)
    assert [len(masks) for _, masks in eval_batches(images, 4, workers)] == [2]
    told = "\n".join(images.skipped.reasons)
    for part in (
        "images/0.jpg does not decode",
        "masks/1.png does not decode",
        "images/2.jpg (of 50x40 pixels, its target of 40x40) does not decode",
        "images/3.jpg (class 3 in its mask) does not decode: classes are 0 to 2",
    ):
        assert part in told
    with pytest.raises(DataError, match=r"4 of 6 images do not decode, .*2.jpg \(of 50x40 pixels, its target"):
        list(eval_batches(opened(divided, rgb, max_corrupt=3), 6, workers))


def test_masks_resume_exactly_with_any_workers(divided: Path, rgb: InputSpec) -> None:
    images = opened(divided, rgb, augment=DenseAugmentation())
    whole = list(TrainBatches(images, 2, 1).epoch(1))
    for workers in (0, 2):
        rest = TrainBatches(images, 2, 1, workers=workers).epoch(1, 1)
        for one, two in zip(whole[1:], rest, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_ade20k_counts_from_one(whole: Path, rgb: InputSpec) -> None:
    images = opened(whole, rgb, target=TargetSettings(kind="mask", offset=-1))
    assert firsts(images) == [255, 0, 1, 255, 0, 1, 255, 0, 1, 255]
    mask = images[2][1]
    assert isinstance(mask, torch.Tensor) and mask.unique().tolist() == [0, 1]


def test_colors_and_depth(tmp_path: Path, rgb: InputSpec) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks", 3)
    (tmp_path / "depth").mkdir()
    for number in range(3):
        Image.new("RGB", (50, 40), (number, 0, 0)).save(tmp_path / "masks" / f"{number}.png")
        np.save(tmp_path / "depth" / f"{number}.npy", np.full((40, 50), number, np.float32))
    (tmp_path / "palette.txt").write_text("a 0 0 0\nb 1 0 0\nc 2 0 0\n")
    assert firsts(opened(tmp_path, rgb)) == [0, 1, 2]
    assert opened(tmp_path, rgb).classes == ("a", "b", "c")
    settings = TargetSettings(kind="depth", scale=2.0)
    depth = open_dataset("folder", tmp_path, input=rgb, target=settings, num_classes=5)
    assert depth.classes == () and [float(depth[place][1].max()) for place in range(3)] == [0, 2, 4]  # type: ignore[union-attr]


def test_links_that_lead_nowhere_are_known_at_the_start(divided: Path, rgb: InputSpec) -> None:
    mask = divided / "train" / "masks" / "2.png"
    mask.unlink()
    mask.symlink_to(divided / "gone.png")
    assert opened(divided, rgb).skipped.reasons == (f"{mask} does not decode (a link to nothing)",)


def test_classes_must_be_known(divided: Path, rgb: InputSpec) -> None:
    (divided / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"does not say which classes its masks have; put classes.txt beside them"):
        opened(divided, rgb)
    assert opened(divided, rgb, num_classes=4).classes == ("0", "1", "2", "3")
    write_classes(divided)
    with pytest.raises(DataError, match=r"has 3 classes \(wall, floor, sky\) but the network has 4"):
        opened(divided, rgb, num_classes=4)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            ["cat", "dog"],
            r"has no folder of images \(one of images, .*only: cat, dog\. Lay them out as ROOT/train/",
        ),
        (["images"], r"has no folder of each mask \(one of masks, .*only: images\."),
        (["train/images"], r"train has no folder of each mask"),
        (["val/images", "val/masks"], r"has no train split, only val; it would be .*/train or .*/training"),
        (["images/train", "masks/val"], r"masks has no train split, only val"),
        (["images", "masks"], r"\(0 images\) has its masks in .* \(0\); is one of the folders empty"),
    ],
)
def test_folders_that_lie_otherwise(tmp_path: Path, rgb: InputSpec, made: list[str], told: str) -> None:
    for name in made:
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(DataError, match=told):
        opened(tmp_path, rgb)


def test_two_of_one_name_are_refused(whole: Path, rgb: InputSpec) -> None:
    write_image(whole / "images" / "4.png", 1)
    with pytest.raises(DataError, match=r"images/4.jpg and .*images/4.png bear one name"):
        opened(whole, rgb)


def test_splits_that_are_one_folder_are_refused(divided: Path, rgb: InputSpec) -> None:
    for path in (divided / "val" / "images").iterdir():
        path.unlink()
    (divided / "val" / "images").rmdir()
    (divided / "val" / "images").symlink_to(divided / "train" / "images")
    with pytest.raises(DataError, match="are one folder or share"):
        open_pair("folder", divided, input=rgb, target="mask")


def test_a_source_tells_its_files(whole: Path, rgb: InputSpec) -> None:
    source = opened(whole, rgb).source
    assert isinstance(source, PairSource)
    assert source.describe(3) == str(whole / "images" / "3.jpg")
    assert source.labels is None and source.target == "mask"
