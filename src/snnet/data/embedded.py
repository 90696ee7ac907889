"""The data that comes with the package: a class-balanced subset of Fashion-MNIST."""

import json
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from snnet.data.sources import SOURCES, ArraySource, Request
from snnet.errors import DataError


@SOURCES.register("embedded")
def open_embedded(request: Request) -> ArraySource:
    """Open 10,000 training or 4,000 test images of 28x28, taken from the original training and test sets.

    Raises:
        DataError: If a root or a further name is given, for there is none.
    """
    if request.name:
        raise DataError(f"Unknown data set 'embedded/{request.name}'; the embedded data is just 'embedded'.")
    if request.root is not None:
        raise DataError(f"Data 'embedded' lies in the package and takes no root, got {request.root}; leave it out.")
    return ArraySource(*garments(request.split))


@cache
def garments(split: str) -> tuple[Tensor, tuple[int, ...], tuple[str, ...]]:
    """Return pixels, labels and classes of a split; unpacked once in a process, for that takes a tenth of a second."""
    name = "train.npz" if split == "train" else "test.npz"
    folder = files("snnet") / "assets" / "fashion_mnist"
    classes = json.loads((folder / "info.json").read_text(encoding="utf-8"))["classes"]
    with (folder / name).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return torch.from_numpy(arrays["images"]), tuple(arrays["labels"].tolist()), tuple(classes)
