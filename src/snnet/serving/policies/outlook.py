# Tested in tests/serving/policies/test_elastic.py.
"""What follows from running an option: losses to be expected, solved beforehand for a rate of arrivals.

A service with one worker is seen as a Markov decision process. Its state is how many images wait, the slack of the
most urgent one, and how the others' deadlines lie: all at once with it, or evenly up to that of an image that came just
now. A decision is an option; while it runs images arrive, with counts of a negative binomial distribution. An image
costs what its answer lacks to the best score, or the whole best score where it gets none. Relative value iteration
finds what each state costs beyond the average.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from snnet.serving.policies.candidates import Candidates

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SLACKS, _COUNTS, _DRAWS, _MOST = 13, 9, 5, 400


@dataclass(frozen=True)
class Outlook:
    """What each of a few options costs, now and later, by the state that it leaves.

    Attributes:
        options: The options that are best in some state, and the quickest.
        upto: How many of them have at most so many images, by number of images.
        costs: Expected loss, by option, spread, images left and slack of the first of them; the negative of a value
            `(C, 2, most + 1, slacks)`.
        arrivals: Images expected while each option runs `(C,)`.
        most: Largest number of images left that the costs tell apart.
        step: Seconds between two slacks.
        allowance: Seconds between arrival and deadline.
        one: What one image more that waits is worth to an idle worker, at most 0.
    """

    options: Candidates
    upto: Ints
    costs: Floats
    arrivals: Floats
    most: int
    step: float
    allowance: float
    one: float
    _flat: Floats = field(init=False, repr=False)
    _places: Ints = field(init=False, repr=False)
    _fresh: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        size = len(self.options.rows)
        object.__setattr__(self, "_flat", self.costs.ravel())
        object.__setattr__(self, "_places", np.arange(size) * (2 * (self.most + 1) * _SLACKS))
        object.__setattr__(self, "_fresh", self.arrivals * (self.allowance - self.options.seconds / 2))

    def values(self, left: Ints, first: Floats, middle: Floats) -> Floats:
        """Return what each of the first options is worth, at most 0, but for the images that it gives up.

        Args:
            left: Images that wait afterwards; what is below 0 was taken from other workers' shares `(C,)`.
            first: Slack of the most urgent of them then `(C,)`.
            middle: Slack of the one in the middle `(C,)`.
        """
        shown = len(left)
        first = first.clip(0, self.allowance)
        expected = self.arrivals[:shown]
        waiting = np.maximum(left, 0)
        # What arrives meanwhile has on average been waiting for half the time.
        even = (waiting * middle + self._fresh[:shown]) / (waiting + expected)
        spread = (2 * (even - first) / (self.allowance * 1.000001 - first)).clip(0, 1)
        place = first * (0.999999 / self.step)
        below = place.astype(np.intp)
        share = place - below
        at = self._places[:shown] + np.minimum(waiting, self.most) * _SLACKS + below
        flat, apart = self._flat, (self.most + 1) * _SLACKS
        together = flat.take(at)
        together += share * (flat.take(at + 1) - together)
        at += apart
        evenly = flat.take(at)
        evenly += share * (flat.take(at + 1) - evenly)
        found: Floats = together + spread * (evenly - together)
        if shown and (left.min() < 0 or left.max() > self.most):
            found += np.minimum(left, 0) * self.one - self.options.best * np.maximum(left - self.most, 0)
        return found


class _Grid:
    """Numbers of images, few of them where they are large, and slacks."""

    def __init__(self, most: int, allowance: float) -> None:
        small = np.arange(min(_COUNTS, most + 1))
        self.counts = np.unique(np.round([*small, *np.geomspace(max(small[-1], 1), most, _COUNTS)]))
        self.slacks = np.linspace(0, allowance, _SLACKS)
        self.most = most

    def count(self, images: Floats) -> tuple[Ints, Floats]:
        """Return the grid place below each number, and how far it is to the next, from 0 to 1."""
        found = np.clip(images, 0, self.most)
        place = np.clip(np.searchsorted(self.counts, found, side="right") - 1, 0, len(self.counts) - 2)
        return place, (found - self.counts[place]) / (self.counts[place + 1] - self.counts[place])

    def slack(self, seconds: Floats) -> tuple[Ints, Floats]:
        """Return the same of slacks."""
        place = np.clip((seconds / self.slacks[1]).astype(int), 0, _SLACKS - 2)
        return place, np.clip(seconds / self.slacks[1] - place, 0, 1)


class _Process:
    """The decision process of one rate and allowance."""

    def __init__(self, options: Candidates, allowance: float, rate: float, dispersion: float) -> None:
        pace = float((options.seconds / options.images).min())
        most = int(min(max(np.ceil(1.5 * allowance / pace), 4), _MOST))
        self.options, self.allowance, self.rate = options, allowance, rate
        self.grid = _Grid(most, allowance)
        self.expected = rate * options.seconds
        self.draws = _drawn(self.expected, dispersion)
        self._plan_states()
        self._plan_arrivals()

    def _plan_states(self) -> None:
        """Work out, for each state and option, how many images are given up and what is left."""
        options, grid, allowance = self.options, self.grid, self.allowance
        spread = np.array([0.0, 1.0])[:, None, None, None]
        waiting, slack = grid.counts[None, 1:, None, None], grid.slacks[None, None, :, None]
        room, seconds, images = np.maximum(allowance - slack, 1e-9), options.seconds, options.images
        gap = np.maximum(spread * room / waiting, 1e-12)
        dropped = np.where(seconds > slack, np.clip((seconds - slack) / gap, 0, waiting), 0.0)
        self.possible = (waiting - dropped >= images - 1e-6) & (seconds <= allowance)
        left = np.maximum(waiting - dropped - images, 0)
        first = np.clip(slack + gap * (dropped + images) - seconds, 0, allowance)
        last = slack + spread * room - seconds
        middle = (left * (first + last) / 2 + self.expected * (allowance - seconds / 2)) / np.maximum(
            left + self.expected, 1e-9
        )
        self.dropped = dropped
        self.spread = np.clip(2 * (middle - first) / np.maximum(allowance - first, 1e-9), 0, 1)
        self.left, self.first = grid.count(left), grid.slack(first)

    def _plan_arrivals(self) -> None:
        """Work out where arrivals lead from each number of images left."""
        counts, most, draws = self.grid.counts, self.grid.most, self.draws
        seconds = self.options.seconds[:, None]
        together = counts[None, :, None] + draws[:, None, :]
        self.joined = self.grid.count(together)
        self.beyond = self.options.best * np.maximum(together - most, 0).mean(axis=2)
        # Where none is left the first to arrive is the most urgent.
        self.came = self.grid.count(draws)
        self.came_first = self.grid.slack(self.allowance - seconds * draws / (draws + 1))

    def solve(self, steps: int) -> tuple[Floats, Floats, Floats, float]:
        """Return values behind each option, those of states, the best option of each state, and the average loss."""
        options, counts = self.options, self.grid.counts
        values, average = np.zeros((2, len(counts), _SLACKS)), 0.0
        for _ in range(steps):
            values[:, 0] = values[1, 1, -1] - average / self.rate
            values -= values[0, 0, 0]
            behind = self._behind(values)
            found = -options.lacks - options.best * self.dropped - average * options.seconds + self._after(behind)
            found[~self.possible] = -np.inf
            chosen = found.argmax(axis=3)
            # Where nothing is possible all are lost.
            values[:, 1:] = np.maximum(found.max(axis=3), -options.best * counts[None, 1:, None])
            values = np.maximum.accumulate(values, axis=2)
            cycle = float(options.seconds[chosen[1, 0, -1]]) + 1 / self.rate
            average = min(0.0, average + 0.5 * float(values[1, 1, -1] - average / self.rate) / cycle)
        return behind, values, chosen[self.possible.any(axis=3)], average

    def _behind(self, values: Floats) -> Floats:
        """Return the mean value after each option, by spread, option, images left and slack, with what arrives."""
        place, share = self.joined
        share = share[..., None]
        found: Floats = ((1 - share) * values[:, place] + share * values[:, place + 1]).mean(axis=3)
        found -= self.beyond[..., None]
        (count, more), (slack, later) = self.came, self.came_first
        even = values[1]
        fewer = (1 - later) * even[count, slack] + later * even[count, slack + 1]
        greater = (1 - later) * even[count + 1, slack] + later * even[count + 1, slack + 1]
        found[:, :, 0] = (((1 - more) * fewer + more * greater).mean(axis=1) - self.beyond[:, 0])[:, None]
        return found

    def _after(self, behind: Floats) -> Floats:
        """Return the value after each option in each state."""
        (count, more), (slack, later) = self.left, self.first
        every = np.arange(len(self.options.rows))

        def at(spread: int) -> Floats:
            values = behind[spread]
            fewer = (1 - later) * values[every, count, slack] + later * values[every, count, slack + 1]
            greater = (1 - later) * values[every, count + 1, slack] + later * values[every, count + 1, slack + 1]
            found: Floats = (1 - more) * fewer + more * greater
            return found

        found: Floats = (1 - self.spread) * at(0) + self.spread * at(1)
        return found


def foresee(options: Candidates, allowance: float, rate: float, *, dispersion: float = 4.0, steps: int = 40) -> Outlook:
    """Solve the process for one rate of arrivals.

    Args:
        options: What can be done.
        allowance: Seconds between arrival and deadline.
        rate: Images per second that arrive.
        dispersion: Variance of the number of arrivals over its mean.
        steps: Decisions that are looked ahead.

    Returns:
        What the options cost that are worth having.
    """
    process = _Process(options, allowance, rate, dispersion)
    behind, values, chosen, average = process.solve(steps)
    quickest = int(np.lexsort((options.seconds, options.images))[0])
    used = np.unique([*chosen.tolist(), quickest])
    few = options.only(used)
    place, share = process.grid.count(np.arange(process.grid.most + 1.0))
    behind, share = behind[:, used], share[:, None]
    later = (1 - share) * behind[:, :, place] + share * behind[:, :, place + 1]
    total = later - (few.lacks + average * few.seconds)[:, None, None]
    return Outlook(
        few,
        np.searchsorted(few.images, np.arange(int(few.images[-1]) + 1), side="right"),
        np.ascontiguousarray(total.transpose(1, 0, 2, 3)),
        rate * few.seconds,
        process.grid.most,
        float(process.grid.slacks[1]),
        allowance,
        float(values[1, 1, -1] - values[1, 0, -1]),
    )


def _drawn(expected: Floats, dispersion: float) -> Floats:
    """Return a few numbers of arrivals that stand for their distribution, with the right mean `(C, draws)`."""
    random = np.random.default_rng(0)
    mean = np.maximum(expected, 1e-9)[:, None]
    if dispersion > 1:
        found = random.negative_binomial(mean / (dispersion - 1), 1 / dispersion, (len(expected), 120 * _DRAWS))
    else:
        found = random.poisson(mean, (len(expected), 120 * _DRAWS))
    groups = np.sort(found, axis=1).reshape(len(expected), _DRAWS, -1).mean(axis=2)
    drawn: Floats = groups * mean / np.maximum(groups.mean(axis=1, keepdims=True), 1e-9)
    return drawn
