"""WebDataset shards under a local root: `wds/NAME`."""

import json
import logging
import os
import random
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence, Sized
from functools import cached_property
from itertools import accumulate, zip_longest

import torch
from PIL import Image
from torch import Tensor

from snnet.data.corrupt import CorruptImageError, decode
from snnet.data.seeding import derive
from snnet.data.shards import Shard, ShardSample, find_shards
from snnet.data.sources import SOURCES, ImageSource, Request
from snnet.data.walk import picture_endings
from snnet.errors import DataError
from snnet.utils import require

_log = logging.getLogger(__name__)
# Seconds after which the user should know.
_SLOW = 5
_COUNTED = "%s: counted %d images in %d shards in %.1f s; an _info.json with their shard_lengths saves that."

LANES = 16
"""Shards that are read side by side."""
# Shards that stay open: those that are read side by side, and those of which the shuffle buffer still holds images.
_OPEN = 2 * LANES
# Keep these random numbers apart from those of the images.
_SHARDS, _SAMPLES = 11, 12

Place = tuple[int, int]
"""Shard, and number of the sample in the shard."""


class ShardSource(ImageSource):
    """The images of one split of a WebDataset.

    Any image can be read when it is wanted; what is cheap is to read those of few shards after each other, as
    `shuffled` puts them.

    Args:
        shards: In the order in which they lie.
        name: What to call it in messages.
        classes: Names of the classes; empty where they are not known.
        label_key: Field of a sample's `.json` that holds the label; None for the `.cls` file, or else `label`.
    """

    in_shards = True

    def __init__(
        self, shards: Sequence[Shard], name: str, classes: Sequence[str] = (), label_key: str | None = None
    ) -> None:
        self.shards, self.name, self.classes, self._label_key = tuple(shards), name, tuple(classes), label_key
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._process = os.getpid()

    def __len__(self) -> int:
        return self._ends[-1]

    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return an image, decoded, and its label."""
        shard, sample = self._find(index)
        name = self.describe(index)
        label = self._label(shard, sample, name)
        extension = next((known for ending in picture_endings() if (known := ending[1:]) in sample.files), None)
        if extension is None:
            raise CorruptImageError(f"{name} does not decode (it has no image, only {_extensions(sample)})")
        return decode(shard.read(sample.files[extension]), name), label

    def describe(self, index: int) -> str:
        """Return the path of the shard and the key of the sample."""
        shard, sample = self._find(index)
        return f"{shard.path}:{sample.key}"

    def shuffled(self, seed: int, epoch: int, buffer: int | None = None) -> Tensor:
        """Return the places of all images in the order of an epoch, for which few shards are open at a time."""
        starts = [0, *self._ends]
        return torch.tensor([starts[shard] + sample for shard, sample in shuffled(self.shards, seed, epoch, buffer)])

    @cached_property
    def _ends(self) -> list[int]:
        """How many images there are up to the end of each shard."""
        uncounted = [shard for shard in self.shards if shard.length is None]
        begun = time.perf_counter()
        ends = list(accumulate(map(len, self.shards)))
        if uncounted:
            seconds = time.perf_counter() - begun
            level = logging.WARNING if seconds > _SLOW else logging.INFO
            _log.log(level, _COUNTED, self.name, ends[-1], len(self.shards), seconds)
        return ends

    def _find(self, index: int) -> tuple[Shard, ShardSample]:
        number = bisect_right(self._ends, index)
        shard = self.shards[number]
        # A forked process shares the position in a file with its parent, and must open its own.
        if self._process != os.getpid():
            while self._open:
                self._open.popitem()[1].close()
            self._process = os.getpid()
        self._open[number] = shard
        self._open.move_to_end(number)
        if len(self._open) > _OPEN:
            self._open.popitem(last=False)[1].close()
        return shard, shard.samples[index - (self._ends[number - 1] if number else 0)]

    def _label(self, shard: Shard, sample: ShardSample, name: str) -> int:
        key = self._label_key or "label"
        if "cls" in sample.files and self._label_key is None:
            where, value = "cls", shard.read(sample.files["cls"]).decode(errors="replace").strip()
        elif "json" in sample.files:
            try:
                found = json.loads(shard.read(sample.files["json"]))
            except ValueError as error:
                raise DataError(f"{name} has a .json that is not JSON: {error}.") from error
            if not isinstance(found, dict) or key not in found:
                raise DataError(f"{name} has no label: its .json lacks the field {key!r}.")
            where, value = f"json, field {key!r},", found[key]
        else:
            wanted = f"a .json with {key!r}" if self._label_key else "a .cls or .json file"
            raise DataError(f"{name} has no label: it needs {wanted} and has {_extensions(sample)}.")
        try:
            return int(value)
        except (TypeError, ValueError) as error:
            raise DataError(f"{name} has the label {value!r} in .{where} where a whole number belongs.") from error


def shuffled(shards: Sequence[Sized], seed: int, epoch: int, buffer: int | None = None) -> Iterator[Place]:
    """Yield all samples once: shards in random order, `LANES` of them in turns, through a shuffle buffer.

    Args:
        shards: Asked for their lengths when the order comes to them.
        seed: Of the run.
        epoch: Which pass.
        buffer: Samples in the shuffle buffer; 8192 if None. It holds numbers, so its size costs no memory.
    """
    sequence = list(range(len(shards)))
    random.Random(derive(seed, epoch, _SHARDS)).shuffle(sequence)
    lanes = [
        ((shard, sample) for shard in sequence[lane::LANES] for sample in range(len(shards[shard])))
        for lane in range(LANES)
    ]
    turns = (place for row in zip_longest(*lanes) for place in row if place is not None)
    size = 8192 if buffer is None else buffer
    stage = require("webdataset.filters", "wds").detshuffle(size, size, seed=derive(seed, epoch, _SAMPLES))
    places: Iterator[Place] = stage.run(turns)
    return places


def _extensions(sample: ShardSample) -> str:
    return ", ".join(f".{extension}" for extension in sample.files)


@SOURCES.register("wds")
def open_wds(request: Request) -> ShardSource:
    """Open the shards of one split, as `find_shards` finds them.

    Raises:
        DataError: If there are none, or one is missing.
        ExtraError: If webdataset is not installed.
    """
    require("webdataset", "wds")
    name = f"wds/{request.name}"
    shards, classes, label_key = find_shards(request.folder(name), request.split)
    return ShardSource(shards, name, classes, label_key)
