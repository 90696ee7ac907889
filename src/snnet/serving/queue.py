"""Requests that wait, earliest deadline first."""

import threading
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from snnet.errors import BudgetError
from snnet.serving.rate import ArrivalRate
from snnet.serving.request import Lane, Request


@dataclass(frozen=True, slots=True)
class Summary:
    """What a policy learns of the requests that wait.

    Attributes:
        lane: What they have in common; of several lanes the one that is to be served first.
        deadlines: When each image of the lane must be answered, in order `(N,)`: one entry for each image.
        least: Images of the most urgent request, which are answered together.
        behind: Images that wait in other lanes.
        rate: Images per second that arrive, as far as one can tell.
        allowance: Seconds that requests have between arrival and deadline, on average.
    """

    lane: Lane
    deadlines: NDArray[np.float64]
    least: int = 1
    behind: int = 0
    rate: float = 0.0
    allowance: float = 0.0


class _LaneOfRequests:
    """Requests in order of their deadlines, and of arrival among equal ones."""

    def __init__(self) -> None:
        self.due = array("d")
        self.requests: list[Request] = []
        self.images = 0

    def put(self, request: Request) -> None:
        place = bisect_right(self.due, request.deadline)
        self.due.insert(place, request.deadline)
        self.requests.insert(place, request)
        self.images += request.size

    def take(self, count: int) -> list[Request]:
        """Remove and return the first requests."""
        taken = self.requests[:count]
        del self.requests[:count], self.due[:count]
        self.images -= sum(map(attrgetter("size"), taken))
        return taken

    def remove(self, request: Request) -> bool:
        """Remove one request; return whether it was here."""
        for place in range(bisect_left(self.due, request.deadline), bisect_right(self.due, request.deadline)):
            if self.requests[place] is request:
                del self.requests[place], self.due[place]
                self.images -= request.size
                return True
        return False

    def fitting(self, images: int) -> int:
        """Return how many requests have together at most so many images, but at least one."""
        if self.images == len(self.due):
            return max(1, images)
        total = 0
        for count, request in enumerate(self.requests):
            total += request.size
            if total > images:
                return max(1, count)
        return len(self.requests)

    def deadlines(self) -> NDArray[np.float64]:
        found = np.array(self.due)
        if self.images > len(found):
            found = np.repeat(found, [request.size for request in self.requests])
        return found


class DeadlineQueue:
    """Requests that wait, earliest deadline first; safe to use from several threads.

    Requests that cannot share a batch (other priority, exact stitch or limits) wait in lanes of their own. The lane of
    the highest priority goes first, and among equal priorities that of the most urgent request.

    Args:
        bound: Requests that may wait at once.
        rate: Estimates how fast requests arrive.

    Raises:
        BudgetError: If nothing may wait.
    """

    def __init__(self, bound: int = 10_000, rate: ArrivalRate | None = None) -> None:
        if bound < 1:
            raise BudgetError(f"bound is {bound}; accepted: 1 and more requests that may wait.")
        self.bound = bound
        self._rate = rate or ArrivalRate()
        self._lanes: dict[Lane, _LaneOfRequests] = {}
        self._count = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many requests wait."""
        return self._count

    def put(self, request: Request) -> bool:
        """Let a request wait; return whether there was room for it."""
        with self._lock:
            self._rate.observe(request.arrival, request.deadline - request.arrival, request.size)
            if self._count >= self.bound:
                return False
            self._lanes.setdefault(request.lane, _LaneOfRequests()).put(request)
            self._count += 1
            return True

    def before(self, request: Request) -> int:
        """Return about how many images go before a request: those of higher priority, and of earlier deadlines."""
        with self._lock:
            found = 0
            for lane, waiting in self._lanes.items():
                if lane[0] < request.lane[0]:
                    found += waiting.images
                elif lane[0] == request.lane[0]:
                    found += waiting.images * bisect_right(waiting.due, request.deadline) // len(waiting.due)
            return found

    def expire(self, before: float) -> list[Request]:
        """Remove and return the requests whose deadline lies before a time."""
        with self._lock:
            gone = []
            for lane, waiting in list(self._lanes.items()):
                if waiting.due[0] < before:
                    gone += self._take(lane, bisect_left(waiting.due, before))
            return gone

    def summary(self, now: float) -> Summary | None:
        """Return what is known of the lane that goes first; None where nothing waits."""
        with self._lock:
            if not self._lanes:
                return None
            lane = min(self._lanes, key=self._urgency) if len(self._lanes) > 1 else next(iter(self._lanes))
            waiting = self._lanes[lane]
            behind = sum(other.images for other in self._lanes.values()) - waiting.images
            return Summary(
                lane,
                waiting.deadlines(),
                waiting.requests[0].size,
                behind,
                self._rate(now),
                self._rate.allowance,
            )

    def take(self, lane: Lane, images: int) -> list[Request]:
        """Remove and return the most urgent requests of a lane that have at most so many images, but at least one."""
        with self._lock:
            waiting = self._lanes.get(lane)
            return [] if waiting is None else self._take(lane, waiting.fitting(images))

    def remove(self, request: Request) -> bool:
        """Remove one request; return whether it was waiting."""
        with self._lock:
            waiting = self._lanes.get(request.lane)
            found = waiting is not None and waiting.remove(request)
            if found:
                self._forget(request.lane, 1)
            return found

    def drain(self) -> list[Request]:
        """Remove and return all requests."""
        with self._lock:
            return [request for lane in list(self._lanes) for request in self._take(lane, len(self._lanes[lane].due))]

    def _take(self, lane: Lane, count: int) -> list[Request]:
        taken = self._lanes[lane].take(count)
        self._forget(lane, len(taken))
        return taken

    def _forget(self, lane: Lane, count: int) -> None:
        """Take account of requests that have left a lane."""
        self._count -= count
        if not self._lanes[lane].due:
            del self._lanes[lane]

    def _urgency(self, lane: Lane) -> tuple[int, float]:
        return lane[0], self._lanes[lane].due[0]
