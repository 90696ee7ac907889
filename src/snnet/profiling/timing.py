"""Milliseconds of whatever runs on a device, in rounds that visit everything in a newly shuffled order."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from snnet.errors import RecipeError
from snnet.table import at_batch

if TYPE_CHECKING:  # the command line shows the settings without torch
    import torch
    from torch import Tensor

    from snnet.network import Given
    from snnet.runtime.engines import Ready

CONFIDENCE = 0.95
"""Probability with which the interval of a median holds the true one."""

Key = TypeVar("Key")


@dataclass(frozen=True)
class MeasureSettings:
    """How a measurement is made.

    Attributes:
        batch_sizes: Images per forward pass; each size is measured apart.
        warmup: Rounds before those that count.
        repeats: Rounds that count; the median is kept.
        again: How often stitches whose times are unreliable are measured again, each time in twice as many rounds.
        blocks: Measure blocks, stitching layers, heads and a few whole stitches, and predict the others, each with an
            error bar (`latency_ms_error`); the error on stitches that were really measured is told.
        energy: Measure energy where there is a meter, a third of a second for each stitch.
        seed: Of images, orders, and the choice of stitches to check predictions on.

    Raises:
        RecipeError: If a number is out of range; the message lists all such numbers.
    """

    batch_sizes: tuple[int, ...] = (1,)
    warmup: int = 3
    repeats: int = 20
    again: int = 1
    blocks: bool = False
    energy: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        faults = [f"batch size {size}; accepted: 1 and more" for size in self.batch_sizes if size < 1]
        faults += [] if self.batch_sizes else ["no batch size; give at least one, such as (1,)"]
        faults += [f"warmup {self.warmup}; accepted: 0 and more"] if self.warmup < 0 else []
        faults += [f"repeats {self.repeats}; accepted: 1 and more"] if self.repeats < 1 else []
        faults += [f"again {self.again}; accepted: 0 and more"] if self.again < 0 else []
        if faults:
            raise RecipeError(f"Latency cannot be measured with {'; with '.join(faults)}.")

    @property
    def rounds(self) -> int:
        """Rounds in all, for one batch size."""
        return self.warmup + self.repeats


USUAL_MEASURE = MeasureSettings()


@dataclass(frozen=True)
class Stopwatch:
    """Times calls on one device."""

    device: "torch.device"

    def time(self, ready: "Ready", features: "Given") -> "tuple[Tensor, float]":
        """Run once; return the output and milliseconds."""
        self.wait()
        start = perf_counter()
        output = ready(features)
        self.wait()
        return output, 1e3 * (perf_counter() - start)

    def wait(self) -> None:
        """Wait until the device has done all it was given; accelerators run behind their launches."""
        if self.device.type != "cpu":
            import torch

            torch.accelerator.synchronize(self.device)


def run_rounds(
    trials: Sequence[Callable[[], Iterable[tuple[Key, float]]]],
    settings: MeasureSettings,
    order: random.Random,
    after_round: Callable[[], None] = lambda: None,
) -> dict[Key, list[float]]:
    """Run all trials in each round, in random order, and collect what the rounds after the warm-up give.

    A machine that slows down or speeds up while measuring so touches all trials alike.

    Args:
        trials: Each gives pairs of a key and milliseconds.
        settings: How many rounds there are, and how many of them warm up.
        order: Draws the order of each round.
        after_round: Called after each.
    """
    found: dict[Key, list[float]] = {}
    for number in range(settings.rounds):
        for trial in order.sample(trials, len(trials)):
            for key, milliseconds in trial():
                if number >= settings.warmup:
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
