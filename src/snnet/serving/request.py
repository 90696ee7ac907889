# Tested in tests/serving/test_queue.py.
"""What a service is asked, and what became of it, as values."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["answered", "refused", "expired", "failed", "cancelled"]
"""`answered`, in time or late; `refused` before it waited; `expired` while it waited; `failed` while it ran;
`cancelled` if who asked left before its deadline."""

Lane: TypeAlias = tuple[int, str, tuple[tuple[str, float], ...]]
"""What requests must have in common to share a batch: priority (negated), exact stitch, limits."""


@dataclass(frozen=True, slots=True)
class Request:
    """Some images that are to be answered together, by a deadline.

    Attributes:
        id: What the asker knows it by.
        arrival: When it came, in seconds of a clock that never goes back.
        deadline: When it must be answered, in seconds of the same clock; what transport takes is off already.
        size: Images in it.
        priority: Of two that wait, that of the higher priority goes first, whatever the deadlines.
        stitch: Id of the one stitch that may answer; any if empty.
        limits: Columns of a table with what a stitch may have there at most, such as `(("macs", 2e9),)`.
    """

    id: int | str
    arrival: float
    deadline: float
    size: int = 1
    priority: int = 0
    stitch: str = ""
    limits: tuple[tuple[str, float], ...] = ()

    @property
    def lane(self) -> Lane:
        """What it shares with those that it can be run with."""
        return (-self.priority, self.stitch, self.limits)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        id: That of the request.
        status: Whether it was answered, and why not.
        finished: When that was, in seconds of the request's clock.
        in_time: Whether it was answered by its deadline.
        stitch: Who answered; empty where nobody did.
        batch: Images that were run together.
        score: What the table says of the stitch.
        queue_seconds: How long it waited.
        compute_seconds: How long its batch ran.
    """

    id: int | str
    status: Status
    finished: float
    in_time: bool = False
    stitch: str = ""
    batch: int = 0
    score: float = 0.0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0
