"""The shuffled order of samples in shards, which `wds.py` works out on numbers alone before anything is read."""

from itertools import pairwise

import pytest

pytest.importorskip("webdataset", reason="the package webdataset is not installed")

from snnet.data.wds import LANES, Place, shuffled

SHARDS = [range(n) for n in (40, 3, 25, 40, 1, 17) * 5]
ALL = [(shard, sample) for shard, samples in enumerate(SHARDS) for sample in samples]


def places(seed: int, epoch: int, buffer: int | None = None) -> list[Place]:
    return list(shuffled(SHARDS, seed, epoch, buffer))


@pytest.mark.parametrize("buffer", [None, 1, 10, 10_000])
def test_every_sample_comes_once(buffer: int | None) -> None:
    assert sorted(places(0, 0, buffer)) == ALL


def test_the_order_is_a_function_of_seed_epoch_and_buffer() -> None:
    first = places(1, 2, 50)
    assert places(1, 2, 50) == first
    assert all(places(*other) != first for other in ((2, 2, 50), (1, 3, 50), (1, 2, 51)))
    assert places(1, 2) != places(2, 1)


def test_few_shards_are_open_at_a_time() -> None:
    shards = [range(50)] * 100
    order = list(shuffled(shards, 0, 0, 100))
    begin = {shard: first for first, (shard, _) in reversed(list(enumerate(order)))}
    end = {shard: last for last, (shard, _) in enumerate(order)}
    at_once = max(sum(begin[s] <= position <= end[s] for s in range(100)) for position in range(0, len(order), 50))
    assert LANES <= at_once <= 4 * LANES


def test_the_buffer_shuffles_within_shards() -> None:
    one = [range(1000)]
    assert [sample for _, sample in shuffled(one, 0, 0, 1)] == list(range(1000))
    mixed = [sample for _, sample in shuffled(one, 0, 0, 1000)]
    rising = sum(a < b for a, b in pairwise(mixed))
    # Half of 999, with a standard deviation of 9.
    assert abs(rising - 499.5) < 5 * 9.2


def test_lengths_are_asked_for_when_the_order_comes_to_a_shard() -> None:
    asked = []

    class Told:
        def __init__(self, number: int) -> None:
            self.number = number

        def __len__(self) -> int:
            asked.append(self.number)
            return 5

    order = shuffled([Told(number) for number in range(200)], 0, 0, 20)
    next(order)
    assert 0 < len(asked) <= LANES
