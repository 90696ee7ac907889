"""Steps measured once, and the latency of every route from the sum of its steps."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from snnet.errors import RecipeError
from snnet.network import Given
from snnet.profiling.timing import Key, Stopwatch
from snnet.runtime.engines import Ready
from snnet.space import Step, Stitch
from snnet.utils import counted

CALIBRATED, CHECKED, SHARE = 4, 8, 6
"""Whole stitches that are measured besides the steps: to calibrate, and to find the error; at most one in `SHARE`."""
FEWEST = 5
"""Stitches below which there is nothing to predict."""


@dataclass(frozen=True)
class Walk:
    """Steps run one after another, as in a route.

    Attributes:
        steps: In order.
        lead: Whether the first is only run so that the second finds its input as fresh as in a whole route.
    """

    steps: tuple[Step, ...]
    lead: bool

    def time(
        self, ready: Mapping[Step, Ready], inputs: Mapping[Step, Given], watch: Stopwatch
    ) -> Iterator[tuple[Step, float]]:
        """Run the walk once and yield its steps with their milliseconds."""
        features = inputs[self.steps[0]]
        for number, step in enumerate(self.steps):
            # Maps may have been put aside before this walk begins; fresh ones stand for them.
            given = inputs[step] if step.kind == "decode" else features
            output, milliseconds = watch.time(ready[step], given)
            features = features if step.kind == "tap" else output
            if number or not self.lead:
                yield step, milliseconds


def plan_walks(routes: Sequence[Sequence[Step]]) -> list[Walk]:
    """Return walks in which each step of the routes is timed once, after the step that comes before it in a route."""
    known: set[Step] = set()
    walks = []
    for steps in routes:
        is_new = []
        for step in steps:  # one after another, for a route may run a block twice
            is_new.append(step not in known)
            known.add(step)
        for wanted, places in groupby(range(len(steps)), key=is_new.__getitem__):
            first, *rest = places
            if wanted:
                stop = (rest or [first])[-1] + 1
                walks.append(Walk(tuple(steps[max(0, first - 1) : stop]), lead=first > 0))
    return walks


def choose_whole(
    routes: Sequence[Stitch], rough: Mapping[Stitch, float], seed: int
) -> tuple[list[Stitch], list[Stitch]]:
    """Return the stitches to measure whole: those that calibrate, spread over the costs, and others at random to check.

    Args:
        routes: All stitches in question.
        rough: Stitch -> some cost that rises with latency.
        seed: Of the random ones.

    Raises:
        RecipeError: If there are too few stitches for that.
    """
    if len(routes) < FEWEST:
        raise RecipeError(
            f"Of {counted(len(routes), 'stitch')} none is left to predict from blocks; measure them whole, or name "
            f"{FEWEST} or more."
        )
    part = max(2, len(routes) // SHARE)
    ordered = sorted(routes, key=lambda route: (rough[route], route.id))
    count = min(CALIBRATED, part)
    calibrating = [ordered[round(number * (len(ordered) - 1) / (count - 1))] for number in range(count)]
    others = [route for route in routes if route not in calibrating]
    return calibrating, random.Random(seed).sample(others, min(CHECKED, part))


def calibrate(sums: Mapping[Key, float], measured: Mapping[Key, float]) -> dict[Key, float]:
    """Return milliseconds for each sum of steps: `a + b * sum`, fitted to the stitches that were measured.

    What comes once in a pass, whatever it runs, is in `a`, and what each step gains or loses by following another in
    `b`; the relative errors are the least (weighted least squares).
    """
    known = list(measured)
    x = np.array([[1.0, sums[stitch]] for stitch in known])
    y = np.array([measured[stitch] for stitch in known])
    (a, b), *_ = np.linalg.lstsq(x / y[:, None], np.ones(len(known)), rcond=None)
    if b <= 0:  # noise of few times can turn the line over; the ratio alone cannot
        a, b = 0.0, float(y.sum() / x[:, 1].sum())
    return {stitch: float(a + b * value) for stitch, value in sums.items()}
