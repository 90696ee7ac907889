"""The stitches that are ready, in bounded memory, and the thread that makes others ready."""

import atexit
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from snnet.errors import EngineError
from snnet.runtime.engines.engine import Ready
from snnet.runtime.places import Entry, Places, close_all
from snnet.space import Stitch

_LOG = logging.getLogger(__name__)
_PATIENCE = 0.2  # seconds for which closing waits for a build that is under way


class Shelf:
    """Keeps stitches ready; what is not, a background thread makes ready, one at a time.

    When there is no room, the stitch that was not used for the longest time goes, and never the floor, nor one that
    somebody waits for. One that is in use stays alive until its last call is over.

    Args:
        build: Makes a stitch ready; it may take long.
        floor: Made ready at once, before this returns, and kept for good.
        fill: Made ready in this order while nothing else is asked for, as far as there is room.
        max_ready: How many stitches there may be, at least two; no bound if None.
        max_bytes: Memory that ready stitches may hold together beyond shared weights; no bound if None.
        at_end: Called in the background after `close`, once nothing is built and no call is under way.

    Raises:
        EngineError: If a bound is too small, or the floor cannot be made ready.
    """

    def __init__(
        self,
        build: Callable[[Stitch], Ready],
        floor: Stitch,
        fill: Iterable[Stitch] = (),
        *,
        max_ready: int | None = None,
        max_bytes: int | None = None,
        at_end: Callable[[], object] = lambda: None,
    ) -> None:
        self.floor = floor
        self._places = Places(floor, max_ready, max_bytes)
        self._failures: dict[Stitch, Exception] = {}
        self._build, self._at_end = build, at_end
        self._queue: deque[Stitch] = deque()
        self._fill = deque(fill)
        self._working: Stitch | None = None
        self._awaited: Counter[Stitch] = Counter()  # calls that wait for it and have not taken it yet
        self._closed = False
        self._changed = threading.Condition()
        self._put(floor, build(floor))
        self._thread = threading.Thread(target=self._work, name="snnet-runtime-build", daemon=True)
        self._thread.start()

    def __contains__(self, stitch: object) -> bool:
        # One look-up, which needs no lock; each call asks of many stitches.
        return stitch in self._places.entries

    @property
    def stitches(self) -> tuple[Stitch, ...]:
        """The ready stitches."""
        with self._changed:
            return tuple(self._places.entries)

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
                "built": self._places.built,
                "evicted": self._places.evicted,
                "failed": len(self._failures),
                "building": self.waiting,
                "nbytes": self._places.held,
                "ready": self.stitches,
            }

    @contextmanager
    def taken(self, stitch: Stitch, *, wait: bool = False) -> Iterator[Ready | None]:
        """Yield a ready stitch, kept alive within the block, or None if it is not ready.

        Args:
            stitch: The stitch.
            wait: Ask for it, again if it failed, and wait until it is ready or has failed.

        Raises:
            EngineError: If this is closed.
        """
        with self._changed:
            if wait and stitch not in self:
                self._await(stitch)
            entry = self._places.take(stitch)
            if entry is None:
                self.check_open()
        try:
            yield None if entry is None else entry.ready
        finally:
            if entry is not None:
                with self._changed:
                    idle = self._places.give_back(entry)
                    if self._closed:
                        self._changed.notify_all()
                close_all(idle)

    def _await(self, stitch: Stitch) -> None:
        self.ask_for(stitch, again=True)
        self._awaited[stitch] += 1
        try:
            while not (self._closed or stitch in self or stitch in self._failures):
                # Again, for what only fills the shelf is dropped where there is no room.
                self.ask_for(stitch)
                self._changed.wait()
        finally:
            self._awaited -= Counter([stitch])
            # It may have to make room from now on.
            self._changed.notify_all()

    def ask_for(self, stitch: Stitch, *, again: bool = False) -> None:
        """Queue a stitch that is neither ready nor queued nor known to fail, before those that fill the shelf.

        Args:
            stitch: The stitch.
            again: Forget that it failed.

        Raises:
            EngineError: If this is closed.
        """
        with self._changed:
            self.check_open()
            if again:
                self._failures.pop(stitch, None)
            if stitch not in {*self._places.entries, *self._queue, *self._failures, self._working}:
                self._queue.append(stitch)
                self._changed.notify_all()

    def check_open(self) -> None:
        """Raise an `EngineError` after `close`."""
        if self._closed:
            raise EngineError("This runtime is closed; make another one.")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits to be made ready; return whether it came to that.

        Raises:
            EngineError: If this is closed.
        """
        with self._changed:
            over = self._changed.wait_for(lambda: self._closed or not self.waiting, timeout)
            self.check_open()
            return over

    def close(self) -> None:
        """Build no more, and let go of all stitches once the calls of other threads are over.

        A build that is under way is not waited for: what it makes is let go of at once.
        """
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._fill.clear()
            idle = [entry for stitch in list(self._places.entries) for entry in self._places.remove(stitch)]
            self._changed.notify_all()
            # But for calls of this thread, in which a signal or a listener may close.
            self._changed.wait_for(lambda: self._places.callers <= {threading.get_ident()})
        close_all(idle)
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            # The interpreter must not go away under a compiler.
            atexit.register(self._thread.join)

    def _work(self) -> None:
        while (work := self._next()) is not None:
            stitch, fills = work
            failures: dict[Stitch, Exception] = {}
            try:
                self._put(stitch, self._build(stitch), fills=fills)
            except Exception as error:
                # Any engine may fail in any way; the thread must live, and whoever asks is told.
                _LOG.warning("stitch %s cannot be made ready: %s", stitch, error)
                failures = {stitch: error}
            with self._changed:
                self._failures |= failures
                self._working = None
                self._changed.notify_all()
        with self._changed:
            self._changed.wait_for(lambda: not self._places.callers)
        self._at_end()

    def _next(self) -> tuple[Stitch, bool] | None:
        """Wait for work, make room for it, and return it and whether it only fills the shelf; None at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or self._queue or self._fill)
                if self._closed:
                    return None
                fills, full = not self._queue, self._places.full
                stitch = (self._fill if fills else self._queue).popleft()
                if stitch not in self and not (fills and full):
                    break
                self._changed.notify_all()
            self._working = stitch
            # Before it is built, so that there is never one more than the bound.
            idle = self._evict() if full else []
        close_all(idle)
        return stitch, fills

    def _put(self, stitch: Stitch, ready: Ready, *, fills: bool = False) -> None:
        size, idle = ready.nbytes, list[Entry]()
        with self._changed:
            possible = self._places.can_ever_hold(size)
            while possible and self._places.lacks(size) and len(self._places.entries) > 1 and not fills:
                idle += self._evict()
            fits = not self._places.lacks(size)
            if fits and not self._closed:
                self._places.add(stitch, ready)
            else:
                idle.append(Entry(ready))
                if fills:
                    self._fill.clear()
        close_all(idle)
        if not (fits or fills):
            raise self._places.too_small_for(stitch, size)

    def _evict(self) -> list[Entry]:
        """Take the place of the stitch that was not used for the longest time; return it if it can be closed now."""
        # Whoever waits for a stitch that is ready takes it at once, and then it may go.
        self._changed.wait_for(lambda: self._closed or self._places.oldest(self._awaited) is not None)
        oldest = self._places.oldest(self._awaited)
        self._places.evicted += oldest is not None
        return [] if oldest is None else self._places.remove(oldest)
