import io
from pathlib import Path

import pytest
from PIL import Image
from torch.utils.data import IterableDataset

from snnet.data import CorruptImageError, StreamImages, TrainBatches, eval_batches, open_dataset, timm_readers
from snnet.data.timm_readers import ReaderSource
from snnet.errors import DataError
from snnet.space import InputSpec


class FakeReader:
    """What timm's readers look like from outside."""

    class_to_idx = {"dog": 1, "cat": 0}  # noqa: RUF012

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[io.BytesIO, int]:
        buffer = io.BytesIO()
        Image.new("RGB", (40, 40)).save(buffer, "PNG")
        return io.BytesIO(b"broken" if index == 2 else buffer.getvalue()), index % 2


class FakeStream(IterableDataset[tuple[Image.Image, int]]):
    reader = FakeReader()

    def __iter__(self):  # type: ignore[no-untyped-def]
        return ((Image.new("RGB", (40, 40)), i % 2) for i in range(5))


def test_a_reader_gives_images_in_the_order_of_its_classes() -> None:
    source = ReaderSource(FakeReader(), "hfds/x")
    assert source.classes == ("cat", "dog")
    image, label = source.read(1)
    assert image.size == (40, 40)
    assert label == 1
    with pytest.raises(CorruptImageError, match=r"hfds/x\[2\] does not decode"):
        source.read(2)


def test_a_reader_without_classes_is_refused() -> None:
    with pytest.raises(DataError, match="hfds/x does not say which classes it has"):
        ReaderSource(object(), "hfds/x")


def test_a_stream_of_timm_is_for_evaluation_only(monkeypatch: pytest.MonkeyPatch, rgb: InputSpec) -> None:
    monkeypatch.setattr(timm_readers, "create_dataset", lambda *_, **__: FakeStream())
    images = open_dataset("tfds/x", split="validation", input=rgb, num_classes=2)
    assert isinstance(images, StreamImages)
    batches = eval_batches(images, 2)
    for _ in range(2):
        assert [labels.tolist() for _, labels in batches] == [[0, 1], [0, 1], [0]]
    with pytest.raises(DataError, match="tfds/x is a stream in which a run could not resume exactly"):
        open_dataset("tfds/x", input=rgb)
    with pytest.raises(DataError, match="A stream has no places to draw from; use train_batches"):
        TrainBatches(images, 1)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, rgb: InputSpec) -> None:
    def absent(*_: object, **__: object) -> None:
        raise ImportError("no tensorflow_datasets")

    monkeypatch.setattr(timm_readers, "create_dataset", absent)
    with pytest.raises(DataError, match="tfds/x needs the package tensorflow-datasets: pip install"):
        open_dataset("tfds/x", split="validation", input=rgb)


def test_a_name_that_timm_lacks(tmp_path: Path, rgb: InputSpec) -> None:
    with pytest.raises(DataError, match="timm does not open torch/nonsense: Unknown torchvision dataset nonsense"):
        open_dataset("torch/nonsense", tmp_path, input=rgb)


def test_hugging_face_folders_are_read_and_the_hub_is_not_asked(tmp_path: Path, root: Path, rgb: InputSpec) -> None:
    pytest.importorskip("datasets", reason="the package datasets is not installed")
    cache = tmp_path / "cache"
    (root / "val").rename(root / "test")
    validation = open_dataset(f"hfds/{root}", cache, "validation", input=rgb, num_classes=2)
    assert validation.classes == ("cat", "dog")
    assert list(validation.labels) == [0, 0, 0, 1, 1, 1]
    assert [labels.tolist() for _, labels in eval_batches(validation, 4)] == [[0, 0, 0, 1], [1, 1]]
    with pytest.raises(DataError, match=r"is not \(whole\) under .*Offline"):
        open_dataset("hfds/somebody/something", cache, input=rgb)
