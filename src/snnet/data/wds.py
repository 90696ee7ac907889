"""WebDataset shards under a local root: `wds/NAME`."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from snnet.data.corrupt import CorruptImageError, decode
from snnet.data.pictures import EXTENSIONS
from snnet.data.shard_folder import find_shards
from snnet.data.shard_order import LANES, in_order, shuffled
from snnet.data.shards import Shard, ShardFile, ShardSample
from snnet.data.sources import SOURCES, Request
from snnet.data.streams import Order, RawImage, StreamSource
from snnet.errors import DataError
from snnet.utils import require

_log = logging.getLogger(__name__)
# Seconds after which the user should know.
_SLOW = 5
_COUNTED = "%s: counted %d images in %d shards in %.1f s; an _info.json with their shard_lengths saves that."
_IMAGES = tuple(extension.removeprefix(".") for extension in EXTENSIONS)


class ShardImage(RawImage):
    """One sample of a shard.

    Args:
        file: The shard.
        place: Numbers of the shard and of the sample in it.
        lane: Among those read side by side.
        label_key: Field of the sample's `.json` that holds the label; None for the `.cls` file, or else `label`.
    """

    def __init__(self, file: ShardFile, place: tuple[int, int], lane: int, label_key: str | None) -> None:
        self._file, self._place, self.lane, self._label_key = file, place, lane, label_key

    @property
    def place(self) -> tuple[int, ...]:
        """Numbers of the shard and of the sample in it."""
        return self._place

    @property
    def name(self) -> str:
        """Path of the shard and key of the sample."""
        return f"{self._file.shard.path}:{self._sample.key}"

    @property
    def key(self) -> str:
        """Name of the shard and key of the sample."""
        return f"{self._file.shard.path.name}:{self._sample.key}"

    def label(self) -> int:
        """Return the label, from `.cls` or `.json`."""
        files = self._sample.files
        if "cls" in files and self._label_key is None:
            return self._number(self._file.read(files["cls"]).decode(errors="replace").strip(), "cls")
        key = self._label_key or "label"
        if "json" not in files:
            wanted = f"a .json with {key!r}" if self._label_key else "a .cls or .json file"
            raise DataError(f"{self.name} has no label: it needs {wanted} and has {self._extensions}.")
        return self._number(self._field(key), f"json, field {key!r},")

    def decode(self) -> Image.Image:
        """Return the image."""
        files = self._sample.files
        extension = next((ext for ext in _IMAGES if ext in files), None)
        if extension is None:
            raise CorruptImageError(f"{self.name} does not decode (it has no image, only {self._extensions})")
        return decode(self._file.read(files[extension]), self.name)

    @property
    def _sample(self) -> ShardSample:
        return self._file.samples[self._place[1]]

    @property
    def _extensions(self) -> str:
        return ", ".join(f".{extension}" for extension in self._sample.files)

    def _field(self, key: str) -> Any:
        try:
            found = json.loads(self._file.read(self._sample.files["json"]))
        except ValueError as error:
            raise DataError(f"{self.name} has a .json that is not JSON: {error}.") from error
        if not isinstance(found, dict) or key not in found:
            raise DataError(f"{self.name} has no label: its .json lacks the field {key!r}.")
        return found[key]

    def _number(self, value: Any, where: str) -> int:
        try:
            return int(value)
        except (TypeError, ValueError) as error:
            raise DataError(f"{self.name} has the label {value!r} in .{where} where a whole number belongs.") from error


class ShardSource(StreamSource):
    """The images of one split of a WebDataset.

    Args:
        shards: In the order in which they lie.
        name: What to call it in messages.
        classes: Names of the classes; empty where they are not known.
        label_key: See `ShardImage`.
    """

    def __init__(
        self, shards: Sequence[Shard], name: str, classes: Sequence[str] = (), label_key: str | None = None
    ) -> None:
        self.shards, self.name, self.classes, self._label_key = tuple(shards), name, tuple(classes), label_key
        self.lanes = min(LANES, len(self.shards))

    def __len__(self) -> int:
        uncounted = [shard for shard in self.shards if shard.length is None]
        begun = time.perf_counter()
        total = sum(map(len, self.shards))
        if uncounted:
            seconds = time.perf_counter() - begun
            level = logging.WARNING if seconds > _SLOW else logging.INFO
            _log.log(level, _COUNTED, self.name, total, len(self.shards), seconds)
        return total

    def images(self, order: Order | None = None, start: int = 0) -> Iterator[RawImage]:
        """Yield the images; those before `start` are not looked at, nor are shards that hold no others."""
        places = in_order(self.shards) if order is None else shuffled(self.shards, order)
        files = [ShardFile(shard) for shard in self.shards]
        left: dict[int, int] = {}
        try:
            for position, (lane, number, sample) in enumerate(places):
                if number not in left:
                    left[number] = len(self.shards[number])
                left[number] -= 1
                if position >= start:
                    yield ShardImage(files[number], (number, sample), lane, self._label_key)
                if not left[number]:
                    files[number].close()
        finally:
            for file in files:
                file.close()


@SOURCES.register("wds")
def open_wds(request: Request) -> ShardSource:
    """Open the shards of one split, as `find_shards` finds them.

    Raises:
        DataError: If there are none, or one is missing.
        ExtraError: If webdataset is not installed.
    """
    require("webdataset", "wds")
    name = f"wds/{request.name}"
    found = find_shards(request.folder(name), request.split)
    return ShardSource(found.shards, name, found.classes, found.label_key)
