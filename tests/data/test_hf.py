from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("datasets", reason="the package datasets is not installed")

import datasets

from snnet.data import (
    Augmentation,
    ImageDataset,
    TargetSettings,
    TrainBatches,
    calibration_images,
    eval_batches,
    open_dataset,
)
from snnet.data.corrupt import CorruptImageError
from snnet.data.hf import HfPairs, HfSource
from snnet.data.masks import Legend
from snnet.errors import DataError, ExtraError
from snnet.space import InputSpec
from tests.data.image_files import truncate


def opened(root: Path, rgb: InputSpec, split: str = "train", **options: Any) -> ImageDataset:
    images = open_dataset(f"hfds/{root}", root.parent / "cache", split, input=rgb, num_classes=2, **options)
    assert isinstance(images, ImageDataset)
    return images


def made(rows: list[dict[str, Any]], **features: Any) -> HfSource:
    return HfSource(datasets.Dataset.from_list(rows, datasets.Features(features)), "hfds/x")


def test_a_local_folder_is_what_a_folder_is(root: Path, rgb: InputSpec) -> None:
    (root / "val").rename(root / "test")
    images, folder = opened(root, rgb, "validation"), open_dataset("folder", root, "validation", input=rgb)
    assert images.classes == ("cat", "dog") and list(images.labels or ()) == [0, 0, 0, 1, 1, 1]
    for workers in (0, 1):
        found = list(eval_batches(images, 4, workers))
        assert [labels.tolist() for _, labels in found] == [[0, 0, 0, 1], [1, 1]]
        assert torch.equal(torch.cat([part for part, _ in found]), torch.stack([image for image, _ in folder]))  # type: ignore[attr-defined]


def test_training_resumes_and_does_not_depend_on_workers(root: Path, rgb: InputSpec) -> None:
    images = opened(root, rgb, augment=Augmentation())
    whole = list(TrainBatches(images, 3, 1).epoch(2))
    assert len(whole) == 4
    for workers, start in ((0, 3), (2, 1)):
        pairs = zip(whole[start:], TrainBatches(images, 3, 1, workers=workers).epoch(2, start), strict=True)
        assert all(torch.equal(a, b) for one, two in pairs for a, b in zip(one, two, strict=True))


def test_damaged_images_are_left_out(root: Path, rgb: InputSpec) -> None:
    truncate(root / "train" / "cat" / "2.jpg")
    images = opened(root, rgb)
    assert len(calibration_images(images, 12)) == 11
    assert "cat/2.jpg does not decode" in images.skipped.reasons[0]


def test_the_hub_is_not_asked(tmp_path: Path, rgb: InputSpec) -> None:
    with pytest.raises(DataError, match=r"is not \(whole\) under .*(?i:offline)"):
        open_dataset("hfds/somebody/something", tmp_path, input=rgb)


def test_a_split_that_is_missing(root: Path, rgb: InputSpec) -> None:
    (root / "val").rename(root / "elsewhere")
    with pytest.raises(DataError, match=r"hfds/.*pets has no validation split, only train"):
        opened(root, rgb, "validation")


def test_columns_are_found_by_their_type() -> None:
    pixel = {"bytes": b"x", "path": None}
    label = datasets.ClassLabel(names=["a", "b"])
    source = made([{"img": pixel, "fine": 1, "n": 3}], img=datasets.Image(), fine=label, n=datasets.Value("int64"))
    assert (list(source.labels or ()), source.classes) == ([1], ("a", "b"))
    with pytest.raises(DataError, match=r"hfds/x: image 0 does not decode"):
        source.read(0)
    with pytest.raises(DataError, match=r"hfds/x has no column of type ClassLabel \(labels\); its columns: img"):
        made([{"img": pixel}], img=datasets.Image())


@pytest.mark.parametrize("label", [None, -1])
def test_images_without_a_label_are_counted(label: int | None) -> None:
    pixel = {"bytes": b"x", "path": "a.jpg"}
    with pytest.raises(DataError, match=r"hfds/x has no label for 1 of 2 images, the first at place 1"):
        made(
            [{"image": pixel, "label": 0}, {"image": pixel, "label": label}],
            image=datasets.Image(),
            label=datasets.ClassLabel(names=["a"]),
        )


def test_a_missing_package_names_its_extra(rgb: InputSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(ExtraError, match=r"datasets, which is not installed; pip install 'snnet\[hf\]'"):
        open_dataset("hfds/x", input=rgb)


class TestPairs:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Five images of 40x50 in a table, with masks, depth as pictures and depth as arrays."""
        masks = [np.full((40, 50), number, np.uint8) for number in range(5)]
        features = {
            "pixel_values": datasets.Image(),
            "label": datasets.Image(),
            "depth": datasets.Image(),
            "far": datasets.Array2D((40, 50), "float32"),
        }
        rows = [
            {
                "pixel_values": Image.fromarray(mask).convert("RGB"),
                "label": Image.fromarray(mask),
                "depth": Image.fromarray(mask.astype(np.uint16) * 1000),
                "far": mask.astype(np.float32),
            }
            for mask in masks
        ]
        (tmp_path / "table").mkdir()
        table = datasets.Dataset.from_list(rows, datasets.Features(features))
        table.to_parquet(tmp_path / "table" / "train.parquet")
        (tmp_path / "table" / "classes.txt").write_text("a\nb\nc\nd\ne\n")
        return tmp_path / "table"

    def opened(self, folder: Path, rgb: InputSpec, **settings: Any) -> ImageDataset:
        images = open_dataset(
            f"hfds/{folder}", folder.parent / "cache", input=rgb, target=TargetSettings(**settings), max_corrupt=0
        )
        assert isinstance(images, ImageDataset)
        return images

    def test_columns_are_found_by_their_names(self, folder: Path, rgb: InputSpec) -> None:
        images = self.opened(folder, rgb, kind="mask")
        assert images.classes == ("a", "b", "c", "d", "e") and len(images) == 5
        depth = self.opened(folder, rgb, kind="depth", scale=0.001)
        far = self.opened(folder, rgb, kind="depth", column="far", image_column="pixel_values")
        for place in range(5):
            for data in (images, depth, far):
                image, target = data[place]
                assert isinstance(target, torch.Tensor) and target.shape == (32, 32)
                torch.testing.assert_close(target.float(), torch.full((32, 32), float(place)))
                assert image.shape == (3, 32, 32)
                torch.testing.assert_close(image[0], torch.full((32, 32), (place / 255 - 0.5) / 0.2))

    def test_columns_that_are_not_there(self, folder: Path, rgb: InputSpec) -> None:
        with pytest.raises(DataError, match=r"has no column 'masc', only pixel_values, label, depth, far"):
            self.opened(folder, rgb, kind="mask", column="masc")
        with pytest.raises(DataError, match=r"has no pictures in its column 'far'"):
            self.opened(folder, rgb, kind="mask", image_column="far")
        features = datasets.Features(image=datasets.Image(), x=datasets.Value("int64"))
        rows = datasets.Dataset.from_list([{"image": None, "x": 1}], features)
        with pytest.raises(DataError, match=r"has no column of a usual name .* for each mask; its columns: image, x\."):
            HfPairs(rows, "hfds/x", TargetSettings(kind="mask"), Legend())

    def test_what_is_missing_counts_as_damaged(self) -> None:
        features = datasets.Features(image=datasets.Image(), mask=datasets.Image())
        picture = Image.new("L", (3, 3))
        rows = datasets.Dataset.from_list(
            [{"image": picture, "mask": None}, {"image": None, "mask": picture}], features
        )
        source = HfPairs(rows, "hfds/x", TargetSettings(kind="mask"), Legend())
        for place, told in enumerate(("without mask", "without an image")):
            with pytest.raises(CorruptImageError, match=rf"hfds/x: image {place} \({told}\) does not decode"):
                source.read(place)
