"""The shuffled order of samples in shards, worked out on numbers alone before anything is read."""

import random
from collections.abc import Iterator, Sequence, Sized
from itertools import zip_longest

from snnet.data.seeding import derive
from snnet.data.streams import Order
from snnet.utils import require

LANES = 16
"""Shards that are read side by side."""
BUFFER = 8192
"""Samples in the shuffle buffer by default. It holds numbers, so its size costs no memory."""
# Keep these random numbers apart from those of the images.
_SHARDS, _SAMPLES = 11, 12

Place = tuple[int, int, int]
"""Lane, shard, and number of the sample in the shard."""


def shuffled(shards: Sequence[Sized], order: Order) -> Iterator[Place]:
    """Yield all samples once: shards in random order, `LANES` of them in turns, through a shuffle buffer.

    Args:
        shards: Asked for their lengths when the order comes to them.
        order: Decides everything else.
    """
    sequence = list(range(len(shards)))
    random.Random(derive(order.seed, order.epoch, _SHARDS)).shuffle(sequence)
    lanes = [_lane(number, sequence[number::LANES], shards) for number in range(LANES)]
    turns = (place for row in zip_longest(*lanes) for place in row if place is not None)
    size = BUFFER if order.buffer is None else order.buffer
    filters = require("webdataset.filters", "wds")
    stage = filters.detshuffle(size, size, seed=derive(order.seed, order.epoch, _SAMPLES))
    places: Iterator[Place] = stage.run(turns)
    return places


def in_order(shards: Sequence[Sized]) -> Iterator[Place]:
    """Yield all samples as they lie, all in one lane."""
    return _lane(0, range(len(shards)), shards)


def _lane(number: int, chosen: Sequence[int], shards: Sequence[Sized]) -> Iterator[Place]:
    return ((number, shard, sample) for shard in chosen for sample in range(len(shards[shard])))
