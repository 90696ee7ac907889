import random
from collections.abc import Iterator
from statistics import NormalDist

import pytest

from snnet.profiling import MeasureSettings, median_interval
from snnet.profiling.timing import run_rounds, summarize


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    draw = random.Random(0)
    runs, hits = 2000, 0
    for _ in range(runs):
        low, high = median_interval([draw.lognormvariate(0, 1) for _ in range(15)])  # type: ignore[misc]
        hits += low <= 1.0 <= high
    # 15 times: the 4th from either end, 96.5 %; four standard deviations of the count.
    chance = 0.9648
    assert abs(hits / runs - chance) < 4 * (chance * (1 - chance) / runs) ** 0.5


@pytest.mark.parametrize(("count", "rank"), [(6, 1), (8, 1), (9, 2), (20, 6), (100, 40)])
def test_ranks_are_those_of_the_tables(count: int, rank: int) -> None:
    times = list(range(1, count + 1))
    assert median_interval(times[::-1]) == (rank, count + 1 - rank)


def test_too_few_times_give_no_interval() -> None:
    assert median_interval([1.0] * 5) is None
    assert set(summarize([2.0], 1)) == {"latency_ms", "latency_ms_p95", "latency_ms_p99", "throughput"}


def test_percentiles_of_known_times() -> None:
    times = [NormalDist(10, 1).inv_cdf((n + 0.5) / 1000) for n in range(1000)]
    found = summarize(times, 4)
    assert found["latency_ms@4"] == pytest.approx(10, abs=1e-3)
    assert found["latency_ms_p95@4"] == pytest.approx(11.645, abs=0.01)
    assert found["latency_ms_p99@4"] == pytest.approx(12.326, abs=0.02)
    assert found["throughput@4"] == pytest.approx(400, rel=1e-3)


def test_warm_up_rounds_run_and_do_not_count() -> None:
    ran: list[str] = []

    def trial(name: str) -> Iterator[tuple[str, float]]:
        ran.append(name)
        yield name, float(len(ran))

    rounds: list[int] = []
    found = run_rounds(
        [lambda: trial("a"), lambda: trial("b")],
        MeasureSettings(warmup=3, repeats=2),
        random.Random(1),
        after_round=lambda: rounds.append(len(ran)),
    )
    assert rounds == [2, 4, 6, 8, 10]
    assert {name: len(times) for name, times in found.items()} == {"a": 2, "b": 2}
    assert min(min(times) for times in found.values()) > 6
