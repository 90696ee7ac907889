"""Milliseconds of whatever runs on a device, in rounds that visit everything in a newly shuffled order."""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import TypeVar

import torch
from torch import Tensor

from snnet.runtime.engines import Ready
from snnet.table import at_batch

CONFIDENCE = 0.95
"""Probability with which the interval of a median holds the true one."""

Key = TypeVar("Key")


@dataclass(frozen=True)
class Stopwatch:
    """Times calls on one device."""

    device: torch.device

    def time(self, ready: Ready, features: Tensor) -> tuple[Tensor, float]:
        """Run once; return the output and milliseconds."""
        self.wait()
        start = perf_counter()
        output = ready(features)
        self.wait()
        return output, 1e3 * (perf_counter() - start)

    def wait(self) -> None:
        """Wait until the device has done all it was given; accelerators run behind their launches."""
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)


def run_rounds(
    trials: Sequence[Callable[[], Iterable[tuple[Key, float]]]],
    *,
    warmup: int,
    repeats: int,
    order: random.Random,
    after_round: Callable[[], None] = lambda: None,
) -> dict[Key, list[float]]:
    """Run all trials in each round, in random order, and collect what the rounds after the warm-up give.

    A machine that slows down or speeds up while measuring so touches all trials alike.

    Args:
        trials: Each gives pairs of a key and milliseconds.
        warmup: Rounds before those that count.
        repeats: Rounds that count.
        order: Draws the order of each round.
        after_round: Called after each.
    """
    found: dict[Key, list[float]] = {}
    for number in range(warmup + repeats):
        for trial in order.sample(trials, len(trials)):
            for key, milliseconds in trial():
                if number >= warmup:
                    found.setdefault(key, []).append(milliseconds)
        after_round()
    return found


def summarize(times: Sequence[float], batch: int) -> dict[str, float]:
    """Return the columns of one stitch at one batch size from its milliseconds.

    Median, 95th and 99th percentile (interpolated between the times), the ends of the median's confidence interval
    where there are times enough for one, and images per second at the median.
    """
    found = {"latency_ms": median(times), "throughput": 1e3 * batch / median(times)}
    tail = quantiles(times, n=100, method="inclusive") if len(times) > 1 else [times[0]] * 99
    found |= {"latency_ms_p95": tail[94], "latency_ms_p99": tail[98]}
    if interval := median_interval(times):
        found |= dict(zip(("latency_ms_low", "latency_ms_high"), interval, strict=True))
    return {at_batch(name, batch): value for name, value in found.items()}


def median_interval(times: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Return two of the times between which the true median lies with this confidence, whatever the distribution.

    Of `n` times in order, those from both ends with the same rank `k` miss the median with the probability that a fair
    coin falls the same way fewer than `k` times in `n` throws, on either side (Conover, Practical Nonparametric
    Statistics, 3.2). None where even the extremes do not reach the confidence: with fewer than six times.
    """
    count, ordered = len(times), sorted(times)
    missed, rank = 0.0, 0
    for below in range(count // 2):
        missed += 2 * math.comb(count, below) / 2**count
        if missed > 1 - confidence:
            break
        rank = below + 1
    return (ordered[rank - 1], ordered[count - rank]) if rank else None


def whole(key: Key, ready: Ready, images: Tensor, watch: Stopwatch) -> Callable[[], Iterator[tuple[Key, float]]]:
    """Return the trial that runs a whole stitch."""

    def trial() -> Iterator[tuple[Key, float]]:
        yield key, watch.time(ready, images)[1]

    return trial
