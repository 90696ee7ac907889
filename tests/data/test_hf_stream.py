from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("datasets", reason="the package datasets is not installed")

import datasets

from snnet.data import Augmentation, Order, StreamBatches, StreamImages, calibration_images, eval_batches, open_dataset
from snnet.data.hf_stream import HfStream, RowImage
from snnet.errors import DataError
from snnet.space import InputSpec
from tests.data.image_files import truncate


def opened(root: Path, rgb: InputSpec, split: str = "train", **options: Any) -> StreamImages:
    images = open_dataset(f"hfids/{root}", root.parent / "cache", split, input=rgb, num_classes=2, **options)
    assert isinstance(images, StreamImages)
    return images


def made(rows: list[dict[str, Any]], **features: Any) -> HfStream:
    table = datasets.Dataset.from_list(rows, datasets.Features(features))
    return HfStream(table.to_iterable_dataset(), "hfids/x")


def test_a_local_folder_is_streamed_in_order(root: Path, rgb: InputSpec) -> None:
    images = opened(root, rgb, "validation")
    assert images.classes == ("cat", "dog")
    batches = eval_batches(images, 4)
    assert (len(batches), batches.images) == (2, 6)
    for workers in (0, 1):
        found = list(eval_batches(images, 4, workers))
        assert [labels.tolist() for _, labels in found] == [[0, 0, 0, 1], [1, 1]]
    folder = open_dataset("folder", root, "validation", input=rgb)
    assert torch.equal(torch.cat([part for part, _ in found]), torch.stack([image for image, _ in folder]))  # type: ignore[attr-defined]


def test_training_resumes_and_does_not_depend_on_workers(root: Path, rgb: InputSpec) -> None:
    images = opened(root, rgb, augment=Augmentation())
    whole = list(StreamBatches(images, 3, 1).epoch(2))
    assert len(whole) == 4
    for workers, start in ((0, 0), (0, 3), (2, 1)):
        again = list(StreamBatches(images, 3, 1, workers=workers).epoch(2, start))
        pairs = zip(whole[start:], again, strict=True)
        assert all(torch.equal(a, b) for one, two in pairs for a, b in zip(one, two, strict=True))


def test_epochs_have_orders_of_their_own(root: Path, rgb: InputSpec) -> None:
    source = opened(root, rgb).source
    orders = [[raw.place for raw in source.images(Order(0, epoch))] for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_nothing_is_decoded_to_get_to_a_batch(root: Path, rgb: InputSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    decode = RowImage.decode

    def counted(self: RowImage) -> Any:
        decoded.append(self.name)
        return decode(self)

    monkeypatch.setattr(RowImage, "decode", counted)
    list(StreamBatches(opened(root, rgb), 4).epoch(0, 2))
    assert len(set(decoded)) == len(decoded) == 4


def test_damaged_images_are_replaced_and_left_out(root: Path, rgb: InputSpec) -> None:
    truncate(root / "train" / "cat" / "2.jpg")
    truncate(root / "val" / "cat" / "2.jpg")
    images = opened(root, rgb)
    batches = StreamBatches(images, 12)
    for epoch in range(2):
        ((_, labels),) = batches.epoch(epoch)
        assert len(labels) == 12
    assert len(batches.skipped) == 1
    assert "cat/2.jpg does not decode" in batches.skipped.reasons[0]
    assert len(calibration_images(images, 12)) == 11
    assert sum(len(labels) for _, labels in eval_batches(opened(root, rgb, "validation"), 4)) == 5


def test_a_split_that_is_missing(root: Path, rgb: InputSpec) -> None:
    (root / "val").rename(root / "elsewhere")
    with pytest.raises(DataError, match=r"hfids/.*pets has no validation split, only train"):
        opened(root, rgb, "validation")


def test_columns_are_found_by_their_type() -> None:
    pixel = {"bytes": b"x", "path": None}
    label = datasets.ClassLabel(names=["a", "b"])
    stream = made([{"img": pixel, "fine": 1, "n": 3}], img=datasets.Image(), fine=label, n=datasets.Value("int64"))
    (raw,) = stream.images()
    assert (raw.label(), stream.classes, raw.name) == (1, ("a", "b"), "hfids/x: image 0 of the pass")
    with pytest.raises(DataError, match=r"hfids/x has no column of type ClassLabel \(labels\); its columns: img"):
        made([{"img": pixel}], img=datasets.Image())


def test_a_label_that_is_missing_is_named() -> None:
    stream = made(
        [{"image": {"bytes": b"x", "path": "a.jpg"}, "label": None}],
        image=datasets.Image(),
        label=datasets.ClassLabel(names=["a"]),
    )
    (raw,) = stream.images()
    with pytest.raises(DataError, match=r"hfids/x: a.jpg has no label, but None"):
        raw.label()
