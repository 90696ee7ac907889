"""The data that comes with the package: a class-balanced subset of Fashion-MNIST."""

import json
from importlib.resources import files

import numpy as np
import torch

from snnet.data.sources import SOURCES, ArraySource, Request
from snnet.errors import DataError

_FILES = {"train": "train.npz", "validation": "test.npz"}


def load_embedded(split: str) -> ArraySource:
    """Return 10,000 training or 4,000 test images of 28x28, taken from the original training and test sets.

    Args:
        split: `train` or `validation`.
    """
    folder = files("snnet") / "assets" / "fashion_mnist"
    classes = json.loads((folder / "info.json").read_text(encoding="utf-8"))["classes"]
    with (folder / _FILES[split]).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return ArraySource(torch.from_numpy(arrays["images"]), arrays["labels"].tolist(), classes)


@SOURCES.register("embedded")
def open_embedded(request: Request) -> ArraySource:
    """Open the embedded data, which has no root and no further name."""
    if request.name:
        raise DataError(f"Unknown data set 'embedded/{request.name}'; the embedded data is just 'embedded'.")
    if request.root is not None:
        raise DataError(f"Data 'embedded' lies in the package and takes no root, got {request.root}; leave it out.")
    return load_embedded(request.split)
