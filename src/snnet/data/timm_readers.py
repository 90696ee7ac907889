"""Data sets that go by timm's names: `torch/`, `hfds/`, and the streams `hfids/`, `wds/` and `tfds/`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from typing import Any, cast

from PIL import Image
from timm.data import create_dataset

from snnet.data.corrupt import decode
from snnet.data.sources import SOURCES, ImageSource, Request
from snnet.data.streams import Order, RawImage, StreamSource
from snnet.data.torchvision import build, wrap
from snnet.errors import DataError

_PACKAGES = {"hfds": "datasets", "tfds": "tensorflow-datasets"}
_EXTRAS = {"datasets": "hf", "webdataset": "wds"}


class ReaderSource(ImageSource):
    """The images of one of timm's readers.

    Args:
        reader: Gives an open file and a label for each index.
        name: What to call it in messages.

    Raises:
        DataError: If the reader does not know its classes.
    """

    def __init__(self, reader: Any, name: str) -> None:
        self.reader, self.name = reader, name
        positions = dict(getattr(reader, "class_to_idx", None) or {})
        if sorted(positions.values()) != list(range(len(positions))) or not positions:
            raise DataError(f"{name} does not say which classes it has; export it to class folders and use 'folder'.")
        self.classes = tuple(sorted(positions, key=positions.__getitem__))
        self.labels = _labels(reader)

    def __len__(self) -> int:
        return len(self.reader)

    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return an image and its label."""
        file, label = self.reader[index]
        with file:
            return decode(file.read(), f"{self.name}[{index}]"), int(label)


class TimmStream(StreamSource):
    """The images of one of timm's streaming readers, decoded as they come, in its order.

    Args:
        dataset: Yields PIL images and labels.
        name: What to call it in messages.
    """

    def __init__(self, dataset: Any, name: str) -> None:
        self.dataset, self.name = dataset, name
        positions = getattr(dataset.reader, "class_to_idx", None) or {}
        self.classes = tuple(sorted(positions, key=positions.__getitem__))

    def __len__(self) -> int:
        return len(self.dataset.reader)

    def images(self, order: Order | None = None, start: int = 0) -> Iterator[RawImage]:
        """Yield the images in the order of the reader."""
        assert order is None, "no training on these"
        pairs = islice(enumerate(self.dataset), start, None)
        return (_Decoded(image, int(label), self.name, position) for position, (image, label) in pairs)


class _Decoded(RawImage):
    def __init__(self, image: Image.Image, label: int, source: str, position: int) -> None:
        self._image, self._label, self._source, self.lane = image, label, source, position

    @property
    def name(self) -> str:
        return f"{self._source}[{self.lane}]"

    @property
    def key(self) -> str:
        return str(self.lane)

    @property
    def place(self) -> tuple[int, ...]:
        return (self.lane,)

    def label(self) -> int:
        return self._label

    def decode(self) -> Image.Image:
        return self._image


@SOURCES.register("torch")
def open_torch(request: Request) -> ImageSource:
    """Open one of timm's `torch/` data sets."""
    name = f"torch/{request.name}"
    request.folder(name)
    return wrap(_create(name, request), name)


@SOURCES.register("hfds")
def open_hfds(request: Request) -> ImageSource:
    """Open a Hugging Face data set: a local folder or, with `root` as its cache, a name on the hub."""
    name = f"hfds/{request.name}"
    with _needing("datasets", name):
        from snnet.data.hf_stream import usual_split
    with _offline(not request.download):
        split = build(lambda: usual_split(request, name), request, name)
    return ReaderSource(_create(name, replace(request, split=split)).reader, name)


@SOURCES.register("hfids")
def open_hfids(request: Request) -> StreamSource:
    """Open a Hugging Face data set as a stream; the names are those of `hfds/`."""
    with _needing("datasets", f"hfids/{request.name}"):
        from snnet.data.hf_stream import open_hfids as open_stream
    with _offline(not request.download):
        return cast(StreamSource, build(lambda: open_stream(request), request, f"hfids/{request.name}"))


@SOURCES.register("wds")
def open_wds(request: Request) -> StreamSource:
    """Open the shards of a WebDataset under a local root."""
    with _needing("webdataset", f"wds/{request.name}"):
        from snnet.data.wds import open_wds as open_stream
    return open_stream(request)


@SOURCES.register("tfds")
def open_tfds(request: Request) -> StreamSource:
    """Open a data set of TensorFlow, for evaluation: its order is not ours to decide."""
    name = f"tfds/{request.name}"
    if request.split == "train":
        raise DataError(
            f"{name} is a stream in which a run could not resume exactly; for training, write it into shards "
            "('wds/...') or class folders ('folder')."
        )
    return TimmStream(_create(name, request), name)


def _create(name: str, request: Request) -> Any:
    options: dict[str, Any] = {"root": str(request.root) if request.root else None, "download": request.download}
    try:
        with _offline(name.startswith("hf") and not request.download):
            return build(lambda: create_dataset(name, split=request.split, **options), request, name)
    except ImportError as error:
        raise _lacking(_PACKAGES.get(name.partition("/")[0], "torchvision"), name) from error
    except AssertionError as error:
        raise DataError(f"timm does not open {name}: {error}.") from error


def _labels(reader: Any) -> list[int] | None:
    # Hugging Face keeps labels in a column of their own, which is read without the images.
    rows, column = getattr(reader, "dataset", None), getattr(reader, "label_key", None)
    return None if rows is None else [int(label) for label in rows.with_format("numpy")[column][:]]


@contextmanager
def _needing(package: str, name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise _lacking(package, name) from error


def _lacking(package: str, name: str) -> DataError:
    wanted = f"'snnet[{_EXTRAS[package]}]'" if package in _EXTRAS else package
    return DataError(f"{name} needs the package {package}: pip install {wanted}.")


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    # timm passes no offline flag on to Hugging Face, whose own switch is read from the environment at import only.
    names = ("huggingface_hub.constants", "datasets.config") if wanted and find_spec("datasets") else ()
    modules = [import_module(name) for name in names]
    before = [module.HF_HUB_OFFLINE for module in modules]
    try:
        for module in modules:
            vars(module)["HF_HUB_OFFLINE"] = True
        yield
    finally:
        for module, value in zip(modules, before, strict=True):
            vars(module)["HF_HUB_OFFLINE"] = value
