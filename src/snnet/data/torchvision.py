"""Data sets of torchvision by name, its own or timm's, from a local root."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_dataset
from torch import Tensor
from torchvision import datasets

from snnet.data.corrupt import decoding
from snnet.data.images import class_name
from snnet.data.sources import SOURCES, ArraySource, ImageSource, Request
from snnet.errors import DataError, did_you_mean

DATASETS: dict[str, tuple[str | bool, str | bool]] = {
    "CIFAR10": (True, False),
    "CIFAR100": (True, False),
    "Country211": ("train", "valid"),
    "DTD": ("train", "val"),
    "FGVCAircraft": ("train", "val"),
    "FashionMNIST": (True, False),
    "Flowers102": ("train", "val"),
    "Food101": ("train", "test"),
    "GTSRB": ("train", "test"),
    "ImageNet": ("train", "val"),
    "Imagenette": ("train", "val"),
    "KMNIST": (True, False),
    "MNIST": (True, False),
    "OxfordIIITPet": ("trainval", "test"),
    "STL10": ("train", "test"),
    "SVHN": ("train", "test"),
}
"""Those of torchvision's data sets that are one image, one label, with what they call training and validation."""
_CLASSES = {"Flowers102": 102, "GTSRB": 43, "SVHN": 10}
"""Number of classes, where the data set does not name them."""


def split_option(name: str, split: str) -> dict[str, str | bool]:
    """Return the argument that asks a class of torchvision for a split."""
    value = DATASETS[name][split != "train"]
    return {"train" if isinstance(value, bool) else "split": value}


class TorchvisionSource(ImageSource):
    """The images of a built torchvision data set.

    Args:
        dataset: Yields PIL images and integer labels.
        name: What to call it in messages.
        count: Number of classes, where the data set does not name them.
    """

    def __init__(self, dataset: Any, name: str, count: int | None = None) -> None:
        self.dataset, self.name = dataset, name
        named = getattr(dataset, "classes", None) or range(count or 0)
        self.classes = tuple(map(class_name, named))
        if not self.classes:
            raise DataError(f"{name} does not say which classes it has; export it to class folders and use 'folder'.")
        self.labels = _labels(dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return an image and its label."""
        with decoding(f"{self.name}[{index}]"):
            image, label = self.dataset[index]
            image.load()
        return image, int(label)


def wrap(dataset: Any, name: str, count: int | None = None) -> ImageSource:
    """Return a built torchvision data set as a source, in memory where it holds its pixels as one array."""
    source = TorchvisionSource(dataset, name, count)
    pixels = getattr(dataset, "data", None)
    if isinstance(dataset, (datasets.MNIST, datasets.CIFAR10)) and source.labels is not None:
        array = pixels if isinstance(pixels, Tensor) else torch.from_numpy(np.asarray(pixels))
        return ArraySource(array, source.labels, source.classes)
    return source


def build(make: Any, request: Request, name: str) -> Any:
    """Return `make()`, with the errors of a missing data set said in our words.

    Raises:
        DataError: If the data is not under the root.
    """
    try:
        return make()
    except (RuntimeError, OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{name} is not (whole) under {request.root}: {' '.join(str(error).split())} "
            "Put its files there as its reader lays them out, or ask for download=True."
        ) from error


@SOURCES.register("torchvision")
def open_torchvision(request: Request) -> ImageSource:
    """Open a class of `torchvision.datasets`."""
    if request.name not in DATASETS:
        raise DataError(
            f"Unknown data set 'torchvision/{request.name}'; accepted: {', '.join(DATASETS)}."
            f"{did_you_mean(request.name, DATASETS)}"
        )
    name, factory = f"torchvision/{request.name}", getattr(datasets, request.name)
    options: dict[str, Any] = {"root": str(request.folder(name)), **split_option(request.name, request.split)}
    if request.download and "download" not in inspect.signature(factory).parameters:
        raise DataError(f"torchvision cannot download {request.name}; get it by hand and leave out download.")
    if request.download:
        Path(options["root"]).mkdir(parents=True, exist_ok=True)
        options["download"] = True
    return wrap(build(lambda: factory(**options), request, name), name, _CLASSES.get(request.name))


@SOURCES.register("torch")
def open_torch(request: Request) -> ImageSource:
    """Open one of timm's `torch/` data sets."""
    name, root = f"torch/{request.name}", str(request.folder(f"torch/{request.name}"))
    options: dict[str, Any] = {"root": root, "split": request.split, "download": request.download}
    try:
        return wrap(build(lambda: create_dataset(name, **options), request, name), name)
    except AssertionError as error:
        raise DataError(f"timm does not open {name}: {error}.") from error


def _labels(dataset: Any) -> tuple[int, ...] | None:
    for attribute in ("targets", "labels", "_labels"):
        labels = getattr(dataset, attribute, None)
        if labels is not None and len(labels) == len(dataset):
            return tuple(int(label) for label in labels)
    return None
