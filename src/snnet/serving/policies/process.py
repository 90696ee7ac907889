# Tested in tests/serving/policies/test_elastic.py.
"""A service as a Markov decision process, whose solution says what a state costs.

A service with one worker, or with a few that are seen as one that is faster, has as its state how many images wait, the
slack of the most urgent one, and how the others' deadlines lie: all at once with it, or evenly up to that of an image
that came just now. A decision is an option; while it runs images arrive, with counts of a negative binomial
distribution. An image costs what its answer lacks to the best score, or the whole best score where it gets none.
Relative value iteration finds what each state costs beyond the average.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnet.serving.policies.candidates import Candidates, Floats, Ints

SLACKS = 13
"""How many slacks the grid has."""
_DRAWS, _MOST, _STEPS = 5, 10_000, 40


def between(counts: Ints, images: NDArray[Any]) -> tuple[Ints, Floats]:
    """Return the place of the count below each number, and how far it is to the next, from 0 to 1."""
    found = np.clip(images, 0, counts[-1])
    place = np.clip(np.searchsorted(counts, found, side="right") - 1, 0, len(counts) - 2)
    return place, (found - counts[place]) / (counts[place + 1] - counts[place])


class _Grid:
    """Numbers of images, few of them where they are large, and slacks."""

    def __init__(self, options: Candidates, allowance: float, crew: int) -> None:
        pace = float((options.seconds / options.images).min()) / crew
        self.most = int(min(max(np.ceil(1.5 * allowance / pace), 4), _MOST))
        batches = np.unique(options.images[options.images < self.most])
        far: list[float] = []
        if self.most > options.images[-1]:
            far = np.geomspace(max(int(options.images[-1]), 2), self.most, 12)[1:].tolist()
        self.counts = np.unique(np.round([0, *batches, *far, self.most])).astype(int)
        self.slacks = np.linspace(0, allowance, SLACKS)

    def count(self, images: Floats) -> tuple[Ints, Floats]:
        """Return the grid place below each number, and how far it is to the next, from 0 to 1."""
        return between(self.counts, images)

    def slack(self, seconds: Floats) -> tuple[Ints, Floats]:
        """Return the same of slacks."""
        place = np.clip((seconds / self.slacks[1]).astype(int), 0, SLACKS - 2)
        return place, np.clip(seconds / self.slacks[1] - place, 0, 1)


class Process:
    """The decision process of one rate and allowance."""

    def __init__(self, options: Candidates, allowance: float, rate: float, dispersion: float, crew: int) -> None:
        self.options, self.allowance, self.rate, self.crew = options, allowance, rate, crew
        self.busy = options.seconds / crew
        self.grid = _Grid(options, allowance, crew)
        self.expected = rate * self.busy
        self._plan_states()
        self._plan_arrivals(_drawn(self.expected, dispersion))

    def _plan_states(self) -> None:
        """Work out, for each state and option, what is given up, and which values with which weights follow."""
        options, grid, allowance = self.options, self.grid, self.allowance
        spread = np.array([0.0, 1.0])[:, None, None, None]
        waiting, slack = grid.counts[None, 1:, None, None], grid.slacks[None, None, :, None]
        room, seconds, images = np.maximum(allowance - slack, 1e-9), options.seconds, options.images
        busy = self.busy
        gap = np.maximum(spread * room / waiting, 1e-12)
        dropped = np.where(seconds > slack, np.clip((seconds - slack) / gap, 0, waiting), 0.0)
        possible = (waiting - dropped >= images - 1e-6) & (seconds <= allowance)
        left = np.maximum(waiting - dropped - images, 0)
        first = np.clip(slack + gap * (dropped + images) - busy, 0, allowance)
        last = slack + spread * room - busy
        even = left * (first + last) / 2 + self.expected * (allowance - busy / 2)
        even /= np.maximum(left + self.expected, 1e-9)
        evenly = np.clip(2 * (even - first) / np.maximum(allowance - first, 1e-9), 0, 1)
        self.lost = np.where(possible, options.lacks + options.best * dropped, np.inf)
        (count, more), (step, later) = grid.count(left), grid.slack(first)
        self.after = (np.arange(len(seconds)) * len(grid.counts) + count) * SLACKS + step
        self.weights = [
            (layer, shift, how * far * near)
            for layer, how in enumerate((1 - evenly, evenly))
            for jump, far in ((0, 1 - more), (SLACKS, more))
            for shift, near in ((jump, 1 - later), (jump + 1, later))
        ]

    def _plan_arrivals(self, draws: Floats) -> None:
        """Work out how arrivals lead from each number of images left to others, as matrices."""
        grid, count = self.grid, len(self.options.seconds)
        counts, every = len(grid.counts), np.arange(count)[:, None]
        together = grid.counts[None, :, None] + draws[:, None, :]
        place, share = grid.count(together)
        self.joins = np.zeros((count, counts, counts))
        where = (np.arange(count)[:, None, None], np.arange(counts)[None, :, None])
        np.add.at(self.joins, (*where, place), (1 - share) / _DRAWS)
        np.add.at(self.joins, (*where, place + 1), share / _DRAWS)
        self.beyond = self.options.best * np.maximum(together - grid.most, 0).mean(axis=2)
        # Where none is left the first to arrive is the most urgent.
        (place, more), seconds = grid.count(draws), self.busy[:, None]
        step, later = grid.slack(self.allowance - seconds * draws / (draws + 1))
        self.comes = np.zeros((count, counts, SLACKS))
        for over, far in ((0, 1 - more), (1, more)):
            np.add.at(self.comes, (every, place + over, step), far * (1 - later) / _DRAWS)
            np.add.at(self.comes, (every, place + over, step + 1), far * later / _DRAWS)

    def solve(self) -> tuple[Floats, Ints, float]:
        """Return the worth of each option by the state that it leaves, the best options, and that of one image."""
        options, counts = self.options, self.grid.counts
        values, average = np.zeros((2, len(counts), SLACKS)), 0.0
        for _ in range(round(_STEPS * self.crew**0.5)):
            values[:, 0] = values[1, 1, -1] - average / self.rate
            values -= values[0, 0, 0]
            behind = self._behind(values) - (average * self.busy)[:, None, None]
            found = self._after(behind) - self.lost
            best = found.argmax(axis=3)
            # Where nothing is possible all are lost.
            reached = np.maximum(found.max(axis=3), -options.best * counts[None, 1:, None])
            values[:, 1:] = np.maximum.accumulate(reached, axis=2)
            cycle = float(self.busy[best[1, 0, -1]]) + 1 / self.rate
            average = min(0.0, average + 0.5 * float(values[1, 1, -1] - average / self.rate) / cycle)
        best[np.isinf(self.lost).all(axis=3)] = -1
        return behind - options.lacks[:, None, None], best, float(values[1, 1, -1] - values[1, 0, -1])

    def _behind(self, values: Floats) -> Floats:
        """Return the mean value after each option, by spread, option, images left and slack, with what arrives."""
        found: Floats = self.joins @ values[:, None] - self.beyond[..., None]
        found[:, :, 0] = (np.tensordot(self.comes, values[1], 2) - self.beyond[:, 0])[:, None]
        return found

    def _after(self, behind: Floats) -> Floats:
        """Return the value after each option in each state."""
        found = np.zeros(self.after.shape)
        layers = behind.reshape(2, -1)
        for layer, shift, weight in self.weights:
            found += weight * layers[layer].take(self.after + shift, mode="clip")
        return found


def _drawn(expected: Floats, dispersion: float) -> Floats:
    """Return a few numbers of arrivals that stand for their distribution, with the right mean `(C, draws)`."""
    random = np.random.default_rng(0)
    mean = np.maximum(expected, 1e-9)[:, None]
    if dispersion > 1:
        found = random.negative_binomial(mean / (dispersion - 1), 1 / dispersion, (len(expected), 60 * _DRAWS))
    else:
        found = random.poisson(mean, (len(expected), 60 * _DRAWS))
    groups = np.sort(found, axis=1).reshape(len(expected), _DRAWS, -1).mean(axis=2)
    drawn: Floats = groups * mean / np.maximum(groups.mean(axis=1, keepdims=True), 1e-9)
    return drawn
