"""Hugging Face data sets, a local folder or a name on the hub: `hfds/NAME`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from snnet.data.corrupt import CorruptImageError, decode, decoding
from snnet.data.masks import Legend, read_legend, target_of_picture, target_of_values
from snnet.data.sources import SOURCES, ImageSource, Request
from snnet.data.splits import find_split
from snnet.data.targets import TargetSettings
from snnet.data.torchvision import build
from snnet.errors import DataError, did_you_mean
from snnet.utils import counted, require

# What columns of targets are called; the first of these that there is counts.
_USUAL = {
    "mask": ("mask", "annotation", "label", "semantic_mask", "segmentation"),
    "depth": ("depth", "depth_map"),
}


class HfSource(ImageSource):
    """The images of one split of a Hugging Face data set, a table on disk.

    Args:
        rows: The split, a `datasets.Dataset`.
        name: What to call it in messages.

    Raises:
        DataError: If it has no column of images, none of class labels, or images without a label.
    """

    def __init__(self, rows: Any, name: str) -> None:
        datasets = require("datasets", "hf")
        self.name = name
        self._image = _column(rows, datasets.Image, "image", name)
        self._label = _column(rows, datasets.ClassLabel, "label", name)
        self.classes = tuple(rows.features[self._label].names)
        # Without the images, which lie in a column of their own.
        self.labels = list(rows.select_columns([self._label])[:][self._label])
        unlabeled = [place for place, label in enumerate(self.labels) if label is None or label < 0]
        if unlabeled:
            raise DataError(
                f"{name} has no label for {len(unlabeled):,} of {counted(len(self.labels), 'image')}, the first at "
                f"place {unlabeled[0]}; is this split of the data labeled?"
            )
        columns = rows.select_columns([self._image, self._label])
        self._rows = columns.cast_column(self._image, datasets.Image(decode=False))

    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return an image and its label."""
        row = self._rows[index]
        stored = row[self._image]
        return _decoded(stored, f"{self.name}: {stored['path'] or f'image {index}'}"), row[self._label]


class HfPairs(ImageSource):
    """The images of one split of a Hugging Face data set, with their masks or depth maps.

    Args:
        rows: The split, a `datasets.Dataset`.
        name: What to call it in messages.
        settings: Tell the columns, where their names do not; one of targets holds pictures, or arrays `(H, W)`.
        legend: Names and colors of the classes.

    Raises:
        DataError: If there is no such column.
    """

    def __init__(self, rows: Any, name: str, settings: TargetSettings, legend: Legend) -> None:
        datasets = require("datasets", "hf")
        self.name, self.settings, self.legend = name, settings, legend
        self.target, self.classes = settings.kind, legend.classes
        self._image = _named(rows, settings.image_column, name) or _column(rows, datasets.Image, "image", name)
        if not isinstance(rows.features[self._image], datasets.Image):
            raise DataError(f"{name} has no pictures in its column {self._image!r}, but {rows.features[self._image]}.")
        usual = next((column for column in _USUAL[settings.kind] if column in rows.features), None)
        self._target = _named(rows, settings.column, name) or usual
        if self._target is None or self._target == self._image:
            raise DataError(
                f"{name} has no column of a usual name ({', '.join(_USUAL[settings.kind])}) for each {settings.kind}; "
                f"its columns: {', '.join(rows.features)}. Say which it is: column=."
            )
        self._rows = rows.select_columns([self._image, self._target])
        for column in (self._image, self._target):
            if isinstance(rows.features[column], datasets.Image):
                self._rows = self._rows.cast_column(column, datasets.Image(decode=False))

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, index: int) -> tuple[Image.Image, Tensor]:
        """Return an image and its mask or depth map."""
        row, name = self._rows[index], self.describe(index)
        image, target = row[self._image], row[self._target]
        if image is None or target is None:
            raise CorruptImageError(f"{name} (without {'an image' if image is None else self._target}) does not decode")
        picture = _decoded(image, name)
        if isinstance(target, dict):
            return picture, target_of_picture(_decoded(target, name), self.settings, self.legend, name)
        with decoding(name):
            values = np.asarray(target)
            if values.ndim != 2:
                raise ValueError(f"{self._target} has the shape {values.shape}, where height and width belong")
        return picture, target_of_values(values, self.settings, name)

    def describe(self, index: int) -> str:
        """Return the place of an image in the data set."""
        return f"{self.name}: image {index}"


@SOURCES.register("hfds")
def open_hfds(request: Request) -> ImageSource:
    """Open a local folder or, with `root` as its cache, a name on the hub.

    Raises:
        DataError: If the split is missing, or not as `HfSource` or `HfPairs` needs it.
        ExtraError: If the package datasets is not installed.
    """
    name, datasets = f"hfds/{request.name}", require("datasets", "hf")
    cache = None if request.root is None else str(request.root)
    with _offline(not request.download):
        present = build(lambda: datasets.get_dataset_split_names(request.name), request, name)
        split = find_split(present, request.split)
        if split is None:
            raise DataError(f"{name} has no {request.split} split, only {', '.join(present)}.")
        rows = build(lambda: datasets.load_dataset(request.name, split=split, cache_dir=cache), request, name)
    if request.target.kind == "label":
        return HfSource(rows, name)
    return HfPairs(rows, name, request.target, read_legend(request.target, [Path(request.name)]))


def _decoded(stored: Mapping[str, Any], name: str) -> Image.Image:
    """Return a picture from its bytes, or from the path that stands for them."""
    return decode(Path(stored["path"]) if stored["bytes"] is None else stored["bytes"], name)


def _named(rows: Any, column: str | None, name: str) -> str | None:
    if column is not None and column not in rows.features:
        hint = did_you_mean(column, rows.features)
        raise DataError(f"{name} has no column {column!r}, only {', '.join(rows.features)}.{hint}")
    return column


def _column(rows: Any, kind: type, usual: str, name: str) -> str:
    found = [column for column, feature in rows.features.items() if isinstance(feature, kind)]
    if not found:
        listed = ", ".join(rows.features) or "none"
        raise DataError(f"{name} has no column of type {kind.__name__} ({usual}s); its columns: {listed}.")
    return usual if usual in found else found[0]


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    # Hugging Face reads its own switch from the environment at import only.
    modules = [import_module(name) for name in ("huggingface_hub.constants", "datasets.config") if wanted]
    before = [module.HF_HUB_OFFLINE for module in modules]
    try:
        for module in modules:
            vars(module)["HF_HUB_OFFLINE"] = True
        yield
    finally:
        for module, value in zip(modules, before, strict=True):
            vars(module)["HF_HUB_OFFLINE"] = value
