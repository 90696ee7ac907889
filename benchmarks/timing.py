"""Timing several ways to do one thing by turns, for the benchmarks."""

import random
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter


def by_turns(
    ways: Mapping[str, Callable[[], object]], *, rounds: int, warmup: int = 3, seed: int = 0
) -> dict[str, list[float]]:
    """Run every way once a round, in a shuffled order; return their milliseconds, round by round."""
    order, names = random.Random(seed), list(ways)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(warmup + rounds):
        for name in order.sample(names, len(names)):
            start = perf_counter()
            ways[name]()
            took = 1e3 * (perf_counter() - start)
            times[name] += [took] if number >= warmup else []
    return times


def ratio(times: Mapping[str, list[float]], one: str, other: str) -> float:
    """Return how many times as long `one` takes as `other`: the median over the rounds."""
    return median(a / b for a, b in zip(times[one], times[other], strict=True))
