"""The shuffled order of samples in shards, worked out on numbers alone before anything is read."""

import random
from collections.abc import Iterator, Sequence, Sized
from itertools import zip_longest

from snnet.data.seeding import derive
from snnet.utils import require

LANES = 16
"""Shards that are read side by side."""
BUFFER = 8192
"""Samples in the shuffle buffer by default. It holds numbers, so its size costs no memory."""
# Keep these random numbers apart from those of the images.
_SHARDS, _SAMPLES = 11, 12

Place = tuple[int, int]
"""Shard, and number of the sample in the shard."""


def shuffled(shards: Sequence[Sized], seed: int, epoch: int, buffer: int | None = None) -> Iterator[Place]:
    """Yield all samples once: shards in random order, `LANES` of them in turns, through a shuffle buffer.

    Args:
        shards: Asked for their lengths when the order comes to them.
        seed: Of the run.
        epoch: Which pass.
        buffer: Samples in the shuffle buffer; `BUFFER` if None.
    """
    sequence = list(range(len(shards)))
    random.Random(derive(seed, epoch, _SHARDS)).shuffle(sequence)
    lanes = [_in_turn(shards, sequence[number::LANES]) for number in range(LANES)]
    turns = (place for row in zip_longest(*lanes) for place in row if place is not None)
    size = BUFFER if buffer is None else buffer
    stage = require("webdataset.filters", "wds").detshuffle(size, size, seed=derive(seed, epoch, _SAMPLES))
    places: Iterator[Place] = stage.run(turns)
    return places


def _in_turn(shards: Sequence[Sized], chosen: Sequence[int]) -> Iterator[Place]:
    return ((shard, sample) for shard in chosen for sample in range(len(shards[shard])))
