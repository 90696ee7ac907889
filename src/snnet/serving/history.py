"""What became of requests lately, second by second."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from snnet.serving.request import Outcome


@dataclass(slots=True)
class Second:
    """What ended within one second.

    Attributes:
        at: Which second of the clock.
        counts: Requests by what became of them: `in_time`, `late`, `refused`, `expired`, `failed`, `cancelled`.
        stitches: Requests answered in time, by stitch.
        score: Sum of the scores of those stitches.
        queue_seconds: Sum of the time that answered requests waited.
        compute_seconds: Sum of the time that their batches ran.
    """

    at: int
    counts: "Counter[str]" = field(default_factory=Counter)
    stitches: "Counter[str]" = field(default_factory=Counter)
    score: float = 0.0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0


class History:
    """The last seconds of a service.

    Args:
        seconds: How many are kept.
        clock: Tells seconds.
    """

    def __init__(self, seconds: int = 120, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: deque[Second] = deque(maxlen=seconds)
        self._seconds, self._clock = seconds, clock

    def hear(self, outcome: Outcome) -> None:
        """Take a request into account that has ended.

        Args:
            outcome: What became of it.
        """
        at = int(self._clock())
        if not self._kept or self._kept[-1].at != at:
            self._kept.append(Second(at))
        second, answered = self._kept[-1], outcome.status == "answered"
        second.counts[("in_time" if outcome.in_time else "late") if answered else outcome.status] += 1
        if outcome.in_time:
            second.stitches[outcome.stitch] += 1
            second.score += outcome.score
        if answered:
            second.queue_seconds += outcome.queue_seconds
            second.compute_seconds += outcome.compute_seconds

    def last(self, seconds: int | None = None) -> list[Second]:
        """Return the last seconds in which anything ended, the oldest first.

        Args:
            seconds: How far to look back; as far as is kept if None.
        """
        begin = self._clock() - (self._seconds if seconds is None else seconds)
        return [second for second in self._kept if second.at >= begin - 1]

    def to_list(self) -> list[dict[str, Any]]:
        """Return the last seconds as plain data, each with its age."""
        now = self._clock()
        return [
            {
                "age": now - second.at,
                "counts": dict(second.counts),
                "stitches": dict(second.stitches),
                "score": second.score,
                "queue_seconds": second.queue_seconds,
                "compute_seconds": second.compute_seconds,
            }
            for second in self.last()
        ]

    def attainment(self, seconds: int | None = None) -> float:
        """Return the share of requests that were answered in time; NaN if there were none. Who left does not count.

        Args:
            seconds: How far to look back; as far as is kept if None.
        """
        last = self.last(seconds)
        total = sum(second.counts.total() - second.counts["cancelled"] for second in last)
        return sum(second.counts["in_time"] for second in last) / total if total else float("nan")

    def served_accuracy(self, seconds: int | None = None) -> float:
        """Return the mean score of the stitches that answered in time; NaN if none did.

        Args:
            seconds: How far to look back; as far as is kept if None.
        """
        last = self.last(seconds)
        total = sum(second.counts["in_time"] for second in last)
        return sum(second.score for second in last) / total if total else float("nan")
