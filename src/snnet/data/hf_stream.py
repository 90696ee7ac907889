"""Hugging Face data sets read as streams: `hfids/NAME`."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datasets import ClassLabel, IterableDataset, get_dataset_split_names, load_dataset
from datasets import Image as Picture
from PIL import Image

from snnet.data.corrupt import decode
from snnet.data.folder import SPLIT_FOLDERS
from snnet.data.seeding import derive
from snnet.data.sources import Request
from snnet.data.streams import Order, RawImage, StreamSource
from snnet.errors import DataError

# The shuffle buffer holds whole images here.
_BUFFER = 1000
_SHUFFLE = 13


class RowImage(RawImage):
    """One row of a data set.

    Args:
        row: Its columns, with the image not decoded.
        columns: Those of image and label.
        source: Name of the data set.
        position: Where it comes in its pass.
    """

    def __init__(self, row: Mapping[str, Any], columns: tuple[str, str], source: str, position: int) -> None:
        self._image, self._label = (row[column] for column in columns)
        self._source, self.lane = source, position

    @property
    def name(self) -> str:
        """Data set and file, where there is one."""
        return f"{self._source}: {self._image['path'] or f'image {self.lane} of the pass'}"

    @property
    def key(self) -> str:
        """Position in the pass, whose order is a function of seed and epoch."""
        return str(self.lane)

    @property
    def place(self) -> tuple[int, ...]:
        """A digest of the content, for a shuffled stream has no places."""
        digest = hashlib.blake2b(self._image["bytes"] or self._image["path"].encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big"),)

    def label(self) -> int:
        """Return the label."""
        if not isinstance(self._label, int) or self._label < 0:
            raise DataError(f"{self.name} has no label, but {self._label!r}; is this split of the data labeled?")
        return self._label

    def decode(self) -> Image.Image:
        """Return the image."""
        data, path = self._image["bytes"], self._image["path"]
        try:
            content = Path(path).read_bytes() if data is None else data
        except OSError as error:
            raise DataError(f"{self.name} cannot be read: {error}; check the path and its permissions.") from error
        return decode(content, self.name)


class HfStream(StreamSource):
    """The images of one split of a Hugging Face data set, never loaded as a whole.

    Args:
        rows: The split.
        name: What to call it in messages.

    Raises:
        DataError: If it has no column of images, or none of class labels.
    """

    def __init__(self, rows: IterableDataset, name: str) -> None:
        self.name = name
        image, label = _column(rows, Picture, "image", name), _column(rows, ClassLabel, "label", name)
        self.classes = tuple(rows.features[label].names)
        self._columns = image, label
        self._rows = rows.select_columns([image, label]).cast_column(image, Picture(decode=False))
        told = (rows.info.splits or {}).get(str(rows.split))
        self._length: int | None = told.num_examples if told else None

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(1 for _ in self._rows.iter(1))
        return self._length

    def images(self, order: Order | None = None, start: int = 0) -> Iterator[RawImage]:
        """Yield the images; those before `start` are read but not decoded."""
        rows = self._rows
        if order is not None:
            seed = derive(order.seed, order.epoch, _SHUFFLE)
            rows = rows.shuffle(seed=seed, buffer_size=_BUFFER if order.buffer is None else order.buffer)
        # Unlike iter(rows), this does not divide the rows among a loader's workers, which would change their order.
        batches = rows.skip(start).iter(batch_size=1)
        for position, batch in enumerate(batches, start):
            row = {column: values[0] for column, values in batch.items()}
            yield RowImage(row, self._columns, self.name, position)


def open_hfids(request: Request) -> HfStream:
    """Open a local folder or, with `root` as its cache, a name on the hub.

    Raises:
        DataError: If the split is missing, or has no column of images or class labels.
    """
    name = f"hfids/{request.name}"
    cache = None if request.root is None else str(request.root)
    split = usual_split(request, name)
    return HfStream(load_dataset(request.name, split=split, cache_dir=cache, streaming=True), name)


def usual_split(request: Request, name: str) -> str:
    """Return the first of the usual names of a split that a data set has.

    Raises:
        DataError: If it has none of them.
    """
    present = get_dataset_split_names(request.name)
    split = next((split for split in SPLIT_FOLDERS[request.split] if split in present), None)
    if split is None:
        raise DataError(f"{name} has no {request.split} split, only {', '.join(present)}.")
    return split


def _column(rows: IterableDataset, kind: type, usual: str, name: str) -> str:
    features = rows.features or {}
    found = [column for column, feature in features.items() if isinstance(feature, kind)]
    if not found:
        listed = ", ".join(features) or "none"
        raise DataError(f"{name} has no column of type {kind.__name__} ({usual}s); its columns: {listed}.")
    return usual if usual in found else found[0]
