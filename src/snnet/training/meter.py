"""Loss and speed over the last steps of a run."""

import math
from collections import deque
from statistics import fmean

from snnet.training.engine import Update

_RECENT = 50


class Meter:
    """What a run tells of its last steps.

    Attributes:
        unlogged: Losses since the last line of the log.
    """

    def __init__(self) -> None:
        self.unlogged: list[float] = []
        self._recent: deque[tuple[float, int, float]] = deque(maxlen=_RECENT)

    def note(self, update: Update, seconds: float) -> None:
        """Take in a step."""
        self.unlogged.append(update.loss)
        self._recent.append((update.loss, update.images, seconds))

    def take_logged(self) -> float:
        """Return the mean loss since the last line of the log, which this one is for."""
        mean = sum(self.unlogged) / len(self.unlogged)
        self.unlogged.clear()
        return mean

    @property
    def loss(self) -> float:
        """Mean over the last 50 steps; NaN before the first."""
        return sum(loss for loss, *_ in self._recent) / len(self._recent) if self._recent else math.nan

    @property
    def images_per_second(self) -> float:
        """Over the last 50 steps."""
        return sum(images for _, images, _ in self._recent) / max(sum(s for *_, s in self._recent), 1e-9)

    @property
    def seconds(self) -> float:
        """Of a step, the mean of the last 50."""
        return fmean(seconds for *_, seconds in self._recent)
