import gzip
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torchvision import datasets

from snnet.data import ImageDataset, TensorImages, open_dataset
from snnet.data.torchvision import DATASETS, TorchvisionSource, split_option, wrap
from snnet.errors import DataError
from snnet.space import InputSpec

ORIGINAL = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture
def fashion_root(tmp_path: Path) -> Path:
    """The layout of torchvision, with the first 50 images of each file."""
    if not ORIGINAL.is_dir():
        pytest.skip(f"{ORIGINAL} is absent; install the Debian package dataset-fashion-mnist")
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in ORIGINAL.glob("*.gz"):
        header, size = (16, 784) if "images" in packed.name else (8, 1)
        with gzip.open(packed) as file:
            data = file.read(header + 50 * size)
        (raw / packed.stem).write_bytes(data[:4] + (50).to_bytes(4, "big") + data[8:])
    return tmp_path


@pytest.mark.parametrize("name", ["torchvision/FashionMNIST", "torch/fashion_mnist"])
def test_fashion_mnist_is_read_into_memory(fashion_root: Path, grey: InputSpec, name: str) -> None:
    train = open_dataset(name, fashion_root, input=grey, num_classes=10)
    reference = datasets.FashionMNIST(str(fashion_root), train=True)
    assert isinstance(train, TensorImages)
    assert len(train) == 50
    assert train.classes[9] == "Ankle boot"
    assert train.labels.tolist() == reference.targets.tolist()
    torch.testing.assert_close(train.images[:, 0], (reference.data / 255 - 0.286) / 0.353)


def test_another_size_is_resized_image_by_image(fashion_root: Path, rgb: InputSpec) -> None:
    validation = open_dataset("torchvision/FashionMNIST", fashion_root, "validation", input=rgb)
    assert isinstance(validation, ImageDataset)
    image, label = validation[3]
    assert image.shape == rgb.size
    assert label == datasets.FashionMNIST(str(fashion_root), train=False).targets[3]


@pytest.mark.parametrize("name", ["torchvision/FashionMNIST", "torchvision/CIFAR10", "torch/fashion_mnist"])
def test_absent_data_is_not_downloaded(tmp_path: Path, rgb: InputSpec, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name} is not \(whole\) under {tmp_path}: .*download=True"):
        open_dataset(name, tmp_path, input=rgb)


def test_a_name_that_timm_lacks(tmp_path: Path, rgb: InputSpec) -> None:
    with pytest.raises(DataError, match="timm does not open torch/nonsense: Unknown torchvision dataset nonsense"):
        open_dataset("torch/nonsense", tmp_path, input=rgb)


def test_an_unknown_name_offers_near_ones(tmp_path: Path, rgb: InputSpec) -> None:
    with pytest.raises(DataError, match=r"Unknown data set 'torchvision/FashonMNIST'; .*Did you mean 'FashionMNIST'"):
        open_dataset("torchvision/FashonMNIST", tmp_path, input=rgb)


def test_what_torchvision_cannot_download_is_said(tmp_path: Path, rgb: InputSpec) -> None:
    with pytest.raises(DataError, match="torchvision cannot download ImageNet"):
        open_dataset("torchvision/ImageNet", tmp_path, input=rgb, download=True)


@pytest.mark.parametrize("name", DATASETS)
def test_the_names_and_splits_are_torchvisions(name: str) -> None:
    accepted = inspect.signature(getattr(datasets, name)).parameters
    for split in ("train", "validation"):
        assert {"root", *split_option(name, split)} <= set(accepted)


class Listed:
    classes = (("tench", "Tinca tinca"), "goldfish")
    _labels = (1, 0)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return Image.new("RGB", (4, 4)), self._labels[index]


def test_labels_and_synonyms_are_found() -> None:
    source = wrap(Listed(), "torchvision/Listed")
    assert isinstance(source, TorchvisionSource)
    assert source.classes == ("tench, Tinca tinca", "goldfish")
    assert source.labels == (1, 0)
    assert source.read(0)[1] == 1


def test_classes_without_names_are_numbered() -> None:
    assert wrap([], "x", 3).classes == ("0", "1", "2")
    with pytest.raises(DataError, match="x does not say which classes it has"):
        wrap([], "x")
