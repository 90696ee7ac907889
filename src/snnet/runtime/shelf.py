"""The stitches that are ready, in bounded memory, and the thread that makes others ready."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from snnet.errors import EngineError
from snnet.runtime.engines.engine import Ready
from snnet.space import Stitch

_LOG = logging.getLogger(__name__)


@dataclass
class _Entry:
    """A ready stitch; once it has left the shelf, retired, its last user closes it."""

    ready: Ready
    users: int = 0  # calls under way
    used: int = 0  # when it was last taken, in calls
    retired: bool = False


class Shelf:
    """Keeps stitches ready; what is not, a background thread makes ready, one at a time.

    When there is no room, the stitch that was not used for the longest time goes, and never the floor. One that is
    in use stays alive until its last call is over.

    Args:
        build: Makes a stitch ready; it may take long.
        floor: Made ready at once, before this returns, and kept for good.
        max_ready: How many stitches there may be, at least two; no bound if None.
        max_bytes: Memory that ready stitches may hold together beyond shared weights; no bound if None.

    Raises:
        EngineError: If a bound is too small, or the floor cannot be made ready.
    """

    def __init__(
        self,
        build: Callable[[Stitch], Ready],
        floor: Stitch,
        *,
        max_ready: int | None = None,
        max_bytes: int | None = None,
    ) -> None:
        if max_ready is not None and max_ready < 2:
            raise EngineError(
                f"max_ready is {max_ready}; accepted: 2 and more, or None. One place is taken by the cheapest stitch, "
                "which stays so that there is always an answer."
            )
        self.floor, self.max_ready, self.max_bytes = floor, max_ready, max_bytes
        self._failures: dict[Stitch, Exception] = {}
        self._built = self._evicted = 0
        self._build = build
        self._entries: dict[Stitch, _Entry] = {}
        self._queue: deque[Stitch] = deque()
        self._fill: deque[Stitch] = deque()
        self._working: Stitch | None = None
        self._clock, self._closed = 0, False
        self._changed = threading.Condition()
        self._put(floor, build(floor))
        self._thread = threading.Thread(target=self._work, name="snnet-runtime-build", daemon=True)
        self._thread.start()

    def __contains__(self, stitch: object) -> bool:
        # One look-up, which needs no lock; each call asks of many stitches.
        return stitch in self._entries

    @property
    def stitches(self) -> tuple[Stitch, ...]:
        """The ready stitches."""
        with self._changed:
            return tuple(self._entries)

    @property
    def failures(self) -> dict[Stitch, Exception]:
        """The stitches that could not be made ready, and why."""
        with self._changed:
            return dict(self._failures)

    @property
    def waiting(self) -> int:
        """How many stitches wait to be made ready, the one in work included."""
        with self._changed:
            return len(self._queue) + len(self._fill) + (self._working is not None)

    def counters(self) -> dict[str, Any]:
        """Return what `Counters` says of the shelf, all of one moment."""
        with self._changed:
            return {
                "built": self._built,
                "evicted": self._evicted,
                "failed": len(self._failures),
                "building": self.waiting,
                "nbytes": self._held(),
                "ready": self.stitches,
            }

    @contextmanager
    def taken(self, stitch: Stitch) -> Iterator[Ready | None]:
        """Yield a ready stitch, kept alive within the block, or None if it is not ready."""
        with self._changed:
            entry = self._entries.get(stitch)
            if entry is not None:
                self._clock += 1
                entry.users, entry.used = entry.users + 1, self._clock
        try:
            yield None if entry is None else entry.ready
        finally:
            if entry is not None:
                with self._changed:
                    entry.users -= 1
                    last = entry.retired and not entry.users
                _close([entry] if last else [])

    def ask_for(self, stitch: Stitch, *, again: bool = False) -> None:
        """Queue a stitch that is neither ready nor queued nor known to fail, before those that fill the shelf.

        Args:
            stitch: The stitch.
            again: Forget that it failed.
        """
        with self._changed:
            if again:
                self._failures.pop(stitch, None)
            if not self._closed and stitch not in {*self._entries, *self._queue, *self._failures, self._working}:
                self._queue.append(stitch)
                self._changed.notify_all()

    def fill(self, stitches: Iterable[Stitch]) -> None:
        """Make stitches ready in this order while nothing else is asked for, as far as there is room."""
        with self._changed:
            self._fill.extend(stitches)
            self._changed.notify_all()

    def wait(self, stitch: Stitch | None = None, timeout: float | None = None) -> bool:
        """Wait until a stitch is ready or has failed, or until nothing waits; return whether it came to that."""

        def over() -> bool:
            told = self._closed if stitch is None else stitch in self._entries or stitch in self._failures
            return told or not self.waiting

        with self._changed:
            return self._changed.wait_for(over, timeout)

    def close(self) -> None:
        """Build no more, and let go of all stitches."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._fill.clear()
            self._changed.notify_all()
        self._thread.join()
        with self._changed:
            idle = [entry for stitch in list(self._entries) for entry in self._remove(stitch)]
        _close(idle)

    def _work(self) -> None:
        while (work := self._next()) is not None:
            stitch, fills = work
            failure: Exception | None = None
            try:
                self._put(stitch, self._build(stitch), fills=fills)
            except Exception as error:
                # Any engine may fail in any way; the thread must live, and whoever asks is told.
                _LOG.warning("stitch %s cannot be made ready: %s", stitch, error)
                failure = error
            with self._changed:
                if failure is not None:
                    self._failures[stitch] = failure
                self._working = None
                self._changed.notify_all()

    def _next(self) -> tuple[Stitch, bool] | None:
        """Wait for work, make room for it, and return it and whether it only fills the shelf; None at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or self._queue or self._fill)
                if self._closed:
                    return None
                fills = not self._queue
                stitch = (self._fill if fills else self._queue).popleft()
                full = self.max_ready is not None and len(self._entries) >= self.max_ready
                if stitch not in self._entries and not (fills and full):
                    break
                self._changed.notify_all()
            self._working = stitch
            # Before it is built, so that there is never one more than the bound.
            idle = self._evict() if full else []
        _close(idle)
        return stitch, fills

    def _put(self, stitch: Stitch, ready: Ready, *, fills: bool = False) -> None:
        size, idle = ready.nbytes, list[_Entry]()
        with self._changed:
            floor = self._entries.get(self.floor)
            least = size + (floor.ready.nbytes if floor else 0)
            possible = self.max_bytes is None or least <= self.max_bytes
            while possible and self._over(size) and len(self._entries) > 1 and not fills:
                idle += self._evict()
            fits = not self._over(size)
            if fits:
                self._clock += 1
                self._entries[stitch] = _Entry(ready, used=self._clock)
                self._built += 1
            elif fills:
                self._fill.clear()
        _close([*idle, *([] if fits else [_Entry(ready)])])
        if not fits and not fills:
            raise EngineError(
                f"Stitch {stitch} takes {size:,} bytes, and max_bytes={self.max_bytes:,} leaves no room for it; "
                "raise max_bytes."
            )

    def _over(self, size: int) -> bool:
        return self.max_bytes is not None and self._held() + size > self.max_bytes

    def _held(self) -> int:
        return sum(entry.ready.nbytes for entry in self._entries.values())

    def _evict(self) -> list[_Entry]:
        """Take the stitch away that was not used for the longest time; return it if it can be closed now."""
        others = [stitch for stitch in self._entries if stitch != self.floor]
        self._evicted += 1
        return self._remove(min(others, key=lambda stitch: self._entries[stitch].used))

    def _remove(self, stitch: Stitch) -> list[_Entry]:
        entry = self._entries.pop(stitch)
        entry.retired = True
        # In use, it is closed by whoever uses it last.
        return [] if entry.users else [entry]


def _close(entries: Iterable[_Entry]) -> None:
    for entry in entries:
        entry.ready.close()
