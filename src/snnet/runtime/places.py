# Tested in tests/runtime/test_runtime.py.
"""Ready stitches in bounded memory: who has a place, who uses it, and who has to go."""

import threading
from collections.abc import Container, Iterable
from dataclasses import dataclass

from snnet.errors import EngineError
from snnet.runtime.engines.engine import Ready
from snnet.space import Stitch


@dataclass
class Entry:
    """A ready stitch; once it has lost its place, retired, its last user closes it."""

    ready: Ready
    users: int = 0  # calls under way
    used: int = 0  # when it was last taken, in calls
    retired: bool = False


class Places:
    """The places of a shelf, which locks them.

    Args:
        floor: The stitch that never goes.
        max_ready: How many places there are; no bound if None.
        max_bytes: Memory that ready stitches may hold together; no bound if None.

    Raises:
        EngineError: If there are fewer than two places.
    """

    def __init__(self, floor: Stitch, max_ready: int | None, max_bytes: int | None) -> None:
        if max_ready is not None and max_ready < 2:
            raise EngineError(
                f"max_ready is {max_ready}; accepted: 2 and more, or None. One place is taken by the cheapest stitch, "
                "which stays so that there is always an answer."
            )
        self.floor, self.max_ready, self.max_bytes = floor, max_ready, max_bytes
        self.entries: dict[Stitch, Entry] = {}
        self.built = self.evicted = 0
        self._clock = 0
        self._calls: list[int] = []  # their threads

    @property
    def callers(self) -> set[int]:
        """The threads with calls under way."""
        return set(self._calls)

    @property
    def held(self) -> int:
        """Bytes that the ready stitches hold."""
        return sum(entry.ready.nbytes for entry in self.entries.values())

    @property
    def full(self) -> bool:
        """Whether all places are taken."""
        return self.max_ready is not None and len(self.entries) >= self.max_ready

    def lacks(self, size: int) -> bool:
        """Tell whether so many bytes more are too many."""
        return self.max_bytes is not None and self.held + size > self.max_bytes

    def can_ever_hold(self, size: int) -> bool:
        """Tell whether so many bytes find room beside the floor."""
        floor = self.entries.get(self.floor)
        return self.max_bytes is None or size + (floor.ready.nbytes if floor else 0) <= self.max_bytes

    def too_small_for(self, stitch: Stitch, size: int) -> EngineError:
        """Return the error of a stitch that finds no room."""
        return EngineError(
            f"Stitch {stitch} takes {size:,} bytes, and max_bytes={self.max_bytes:,} leaves no room for it; raise "
            "max_bytes."
        )

    def add(self, stitch: Stitch, ready: Ready) -> None:
        """Give a stitch a place."""
        self._clock += 1
        self.entries[stitch] = Entry(ready, used=self._clock)
        self.built += 1

    def take(self, stitch: Stitch) -> Entry | None:
        """Return a ready stitch with this thread as one user more; None if it is not ready."""
        entry = self.entries.get(stitch)
        if entry is not None:
            self._clock += 1
            entry.users, entry.used = entry.users + 1, self._clock
            self._calls.append(threading.get_ident())
        return entry

    def give_back(self, entry: Entry) -> list[Entry]:
        """End this thread's use of a stitch; return it if it can be closed now."""
        entry.users -= 1
        self._calls.remove(threading.get_ident())
        return [entry] if entry.retired and not entry.users else []

    def oldest(self, spared: Container[Stitch]) -> Stitch | None:
        """Return the stitch that was not used for the longest time, but for the floor and those that are spared."""
        others = [stitch for stitch in self.entries if stitch != self.floor and stitch not in spared]
        return min(others, key=lambda stitch: self.entries[stitch].used, default=None)

    def remove(self, stitch: Stitch) -> list[Entry]:
        """Take a stitch its place; return it if it can be closed now."""
        entry = self.entries.pop(stitch)
        entry.retired = True
        # In use, it is closed by whoever uses it last.
        return [] if entry.users else [entry]


def close_all(entries: Iterable[Entry]) -> None:
    """Let go of what nobody uses any more; it may take long, so no lock may be held."""
    for entry in entries:
        entry.ready.close()
