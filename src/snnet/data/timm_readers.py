"""Data sets that timm's readers open: `torch/`, `hfds/`, and the streams `hfids/`, `tfds/` and `wds/`."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from PIL import Image
from timm.data import create_dataset

from snnet.data.corrupt import decode
from snnet.data.sources import SOURCES, ImageSource, Opener, Request, Stream
from snnet.data.torchvision import build, wrap
from snnet.errors import DataError

_PACKAGES = {"hfds": "datasets", "hfids": "datasets", "tfds": "tensorflow-datasets", "wds": "webdataset"}


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

    def __len__(self) -> int:
        return len(self.reader)

    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return an image and its label."""
        file, label = self.reader[index]
        with file:
            return decode(file.read(), f"{self.name}[{index}]"), int(label)


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
    return ReaderSource(_create(name, request).reader, name)


def _stream(prefix: str) -> Opener:
    def open_stream(request: Request) -> Stream:
        name = f"{prefix}/{request.name}"
        if request.split == "train":
            raise DataError(
                f"{name} is a stream, in which a run could not resume exactly; for training, unpack it into class "
                "folders ('folder') or use 'hfds/...'."
            )
        dataset: Stream = _create(name, request)
        return dataset

    return open_stream


for _prefix in ("hfids", "tfds", "wds"):
    SOURCES.register(_prefix)(_stream(_prefix))


def _create(name: str, request: Request) -> Any:
    options: dict[str, Any] = {"root": str(request.root) if request.root else None, "download": request.download}
    try:
        with _offline(name.startswith("hf") and not request.download):
            return build(lambda: create_dataset(name, split=request.split, **options), request, name)
    except ImportError as error:
        package = _PACKAGES.get(name.partition("/")[0], "torchvision")
        raise DataError(f"{name} needs the package {package}: pip install {package}.") from error
    except AssertionError as error:
        raise DataError(f"timm does not open {name}: {error}.") from error


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
