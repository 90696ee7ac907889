"""Hugging Face data sets, a local folder or a name on the hub: `hfds/NAME`."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

from snnet.data.corrupt import decode
from snnet.data.sources import SOURCES, ImageSource, Request
from snnet.data.splits import find_split
from snnet.data.torchvision import build
from snnet.errors import DataError
from snnet.utils import counted, require


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
        data, path = row[self._image]["bytes"], row[self._image]["path"]
        name = f"{self.name}: {path or f'image {index}'}"
        return decode(Path(path) if data is None else data, name), row[self._label]


@SOURCES.register("hfds")
def open_hfds(request: Request) -> HfSource:
    """Open a local folder or, with `root` as its cache, a name on the hub.

    Raises:
        DataError: If the split is missing, or not as `HfSource` needs it.
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
    return HfSource(rows, name)


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
