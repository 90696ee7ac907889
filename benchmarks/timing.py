"""Timing several ways to do one thing by turns, for the benchmarks."""

import random
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter


def by_turns(
    ways: Mapping[str, Callable[[], object]], *, rounds: int, warmup: int = 3, seed: int = 0, seconds: float = 0.0
) -> dict[str, list[float]]:
    """Run every way once a round, in a shuffled order; return their milliseconds, round by round.

    Args:
        ways: By name.
        rounds: That count, at least.
        warmup: Rounds before them.
        seed: Of the orders.
        seconds: For which rounds go on that count, at least.
    """
    order, names = random.Random(seed), list(ways)
    times: dict[str, list[float]] = {name: [] for name in names}
    number, begin = 0, perf_counter()
    while number < warmup + rounds or perf_counter() - begin < seconds:
        begin = perf_counter() if number == warmup else begin
        for name in order.sample(names, len(names)):
            start = perf_counter()
            ways[name]()
            took = 1e3 * (perf_counter() - start)
            times[name] += [took] if number >= warmup else []
        number += 1
    return times


def ratio(times: Mapping[str, list[float]], one: str, other: str) -> float:
    """Return how many times as long `one` takes as `other`: the median over the rounds."""
    return median(a / b for a, b in zip(times[one], times[other], strict=True))
