# Tested in tests/serving/policies/test_elastic.py.
"""What follows from running an option: losses to be expected, worked out beforehand for a rate of arrivals."""

from dataclasses import dataclass, field

import numpy as np

from snnet.serving.policies.candidates import Candidates, Floats, Ints
from snnet.serving.policies.process import SLACKS, Process, between


@dataclass(frozen=True)
class Outlook:
    """What each option is worth, now and later, by the state that it leaves: at most 0, for losses are counted.

    Attributes:
        options: What can be done.
        behind: Worth of each option, by how the deadlines lie that it leaves, how many images, and the slack of the
            first, on the grid `(2, C, counts, slacks)`.
        best: Option of each state on the grid `(2, counts, slacks)`.
        counts: Images on the grid; 0 and 1 come first.
        rate: Images per second that arrive.
        allowance: Seconds between arrival and deadline.
        one: What one image more that waits is worth to an idle worker.
        crew: Workers that are seen as one.
    """

    options: Candidates
    behind: Floats
    best: Ints
    counts: Ints
    rate: float
    allowance: float
    one: float
    crew: int
    _flat: memoryview = field(init=False, repr=False)
    _near: dict[tuple[int, int], tuple[int, ...]] = field(init=False, repr=False)
    _places: tuple[list[int], list[float]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        flat = np.ascontiguousarray(self.behind).reshape(-1)
        object.__setattr__(self, "_flat", memoryview(flat.data))
        object.__setattr__(self, "_near", {})
        object.__setattr__(self, "_places", [part.tolist() for part in between(self.counts, np.arange(self.most + 1))])

    @property
    def most(self) -> int:
        """Largest number of images that are told apart."""
        return int(self.counts[-1])

    def near(self, images: int, slack: float) -> tuple[int, ...]:
        """Return the options that are best in the states around one, and the quickest for one image.

        Args:
            images: How many wait.
            slack: Of the most urgent of them.
        """
        below = self._places[0]
        at = below[min(images, len(below) - 1)]
        step = min(int(max(slack, 0.0) / self.allowance * (SLACKS - 1)), SLACKS - 1)
        found = self._near.get((at, step))
        if found is None:
            around = self.best[:, max(at - 1, 0) : at + 1, step : step + 2]
            found = self._near[at, step] = tuple(sorted({self.options.quickest, *around.ravel().tolist()} - {-1}))
        return found

    def worth(self, option: int, left: int, first: float, middle: float) -> float:
        """Return what an option is worth that leaves a state, but for the images that it gives up.

        Args:
            option: Which one.
            left: Images that wait afterwards; what is below 0 was taken from other workers' shares.
            first: Slack of the most urgent of them then.
            middle: Slack of the one in the middle.
        """
        allowance, (places, shares) = self.allowance, self._places
        most = len(places) - 1
        first = 0.0 if first < 0 else allowance if first > allowance else first
        seconds = self.options.taken[option] / self.crew
        waiting = left if left > 0 else 0
        arrivals = self.rate * seconds
        # What arrives meanwhile has on average been waiting for half the time.
        even = (waiting * middle + arrivals * (allowance - seconds / 2)) / (waiting + arrivals)
        spread = 2 * (even - first) / (allowance - first) if first < allowance else 1.0
        spread = 0.0 if spread < 0 else 1.0 if spread > 1 else spread
        place = first / allowance * (SLACKS - 1)
        below = int(place)
        if below == SLACKS - 1:
            below -= 1
        share = place - below
        waiting = waiting if waiting < most else most
        flat, more = self._flat, shares[waiting]
        at = (option * len(self.counts) + places[waiting]) * SLACKS + below
        half = at + len(flat) // 2
        found = (1 - spread) * ((1 - share) * flat[at] + share * flat[at + 1])
        found += spread * ((1 - share) * flat[half] + share * flat[half + 1])
        if more:
            at, half = at + SLACKS, half + SLACKS
            beyond = (1 - spread) * ((1 - share) * flat[at] + share * flat[at + 1])
            beyond += spread * ((1 - share) * flat[half] + share * flat[half + 1])
            found += more * (beyond - found)
        if left < 0:
            return float(found + left * self.one)
        return float(found - self.options.best * (left - most)) if left > most else float(found)


def foresee(options: Candidates, allowance: float, rate: float, dispersion: float, crew: int) -> Outlook:
    """Solve the process for one rate of arrivals.

    Args:
        options: What can be done.
        allowance: Seconds between arrival and deadline.
        rate: Images per second that arrive.
        dispersion: Variance of the number of arrivals over its mean.
        crew: Workers that are seen as one, which is free again so many times as soon as an answer takes.
    """
    process = Process(options, allowance, rate, dispersion, crew)
    behind, best, one = process.solve()
    return Outlook(options, behind, best, process.grid.counts, rate, allowance, one, crew)
