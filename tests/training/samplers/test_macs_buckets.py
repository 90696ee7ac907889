from bisect import bisect_right
from collections import Counter

import pytest

from snnet.errors import RecipeError
from snnet.training import stitch_generator
from snnet.training.samplers import MacsBucketsSampler
from tests.training.samplers.tables import SPACE, cost_table


def test_every_range_is_drawn_equally_often() -> None:
    sampler = MacsBucketsSampler.build(SPACE, cost_table(), buckets=4)
    macs = {row.stitch: row.macs for row in cost_table()}
    edges = [min(macs.values()) + part * (max(macs.values()) - min(macs.values())) / 4 for part in (1, 2, 3)]
    bucket_of = {stitch: bisect_right(edges, cost) for stitch, cost in macs.items()}
    expected = Counter(bucket_of.values())
    assert [len(bucket) for bucket in sampler.buckets] == [expected[number] for number in range(4)]
    assert max(expected.values()) > 1.5 * min(expected.values())
    steps = 2000
    drawn = [sampler.draw(step, stitch_generator(0, step))[0].id for step in range(steps)]
    counts = Counter(bucket_of[stitch] for stitch in drawn)
    # Four standard deviations of a binomial count.
    assert all(abs(counts[number] - steps / 4) < 4 * (steps * 3 / 16) ** 0.5 for number in range(4))
    assert set(drawn) == set(macs)


def test_empty_ranges_are_passed_over() -> None:
    macs = {stitch.id: float(number == 7) for number, stitch in enumerate(SPACE)}
    sampler = MacsBucketsSampler(SPACE, macs, buckets=50)
    assert [len(bucket) for bucket in sampler.buckets] == [len(SPACE) - 1, 1]


def test_equal_costs_are_one_range() -> None:
    assert len(MacsBucketsSampler(SPACE, dict.fromkeys(map(str, SPACE), 5.0)).buckets) == 1


def test_descriptions_tell_ranges_apart() -> None:
    one, other = (MacsBucketsSampler.build(SPACE, cost_table(), buckets=count) for count in (3, 4))
    assert one.describe() != other.describe()
    assert one.describe() == MacsBucketsSampler.build(SPACE, cost_table(), buckets=3).describe()
    with pytest.raises(RecipeError, match="buckets is 0"):
        MacsBucketsSampler.build(SPACE, cost_table(), buckets=0)
