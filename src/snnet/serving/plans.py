"""What policies have worked out beforehand, kept in bounds; in a server it is worked out beside the decisions."""

import logging
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

_LOG = logging.getLogger(__name__)
# Each of a megabyte or so.
_KEPT = 200
# Callers choose their deadlines; what they want to be worked out beyond that is not.
_UNDER_WAY = 8


class Plans:
    """Keeps what policies work out, and says when: at once, or beside them.

    At once, a decision depends on nothing but what the policy is told, as a simulation needs it. Beside, in a thread of
    its own, nobody waits for it: who asks gets nothing at first, and decides otherwise until it is there.

    Args:
        beside: Whether it is worked out in a thread.
    """

    def __init__(self, *, beside: bool = False) -> None:
        self._thread = ThreadPoolExecutor(1, "snnet-plans") if beside else None
        self._kept: dict[Hashable, Any] = {}
        self._under_way: set[Hashable] = set()
        self._lock = Lock()

    @property
    def beside(self) -> bool:
        """Whether it is worked out in a thread."""
        return self._thread is not None

    @property
    def count(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def kept(self, key: Hashable) -> Any:
        """Return what was worked out; None if it was not.

        Args:
            key: What it is known by.
        """
        return self._kept.get(key)

    def find(self, key: Hashable, work: Callable[[], Any]) -> Any:
        """Return what was worked out; None if it is being worked out, or will be once less is.

        Args:
            key: What it is known by.
            work: Works it out; called in another thread where that is done beside.
        """
        found = self._kept.get(key)
        if found is not None:
            return found
        if self._thread is None:
            return self.make(key, work)
        with self._lock:
            wanted = key not in self._under_way and len(self._under_way) < _UNDER_WAY
            if wanted:
                self._under_way.add(key)
        if wanted:
            self._thread.submit(self._make_beside, key, work)
        return None

    def make(self, key: Hashable, work: Callable[[], Any]) -> Any:
        """Return the same, once it is worked out.

        Args:
            key: What it is known by.
            work: Works it out.
        """
        found = self._kept.get(key)
        if found is None:
            found = work()
            with self._lock:
                if len(self._kept) >= _KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[key] = found
        return found

    def known(self) -> dict[Any, Any]:
        """Return all that is kept, by its key."""
        with self._lock:
            return dict(self._kept)

    def close(self) -> None:
        """Work out no more, and keep nothing: what it is known by refers to policies, and they to this."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None
        with self._lock:
            self._kept.clear()

    def _make_beside(self, key: Hashable, work: Callable[[], Any]) -> None:
        try:
            self.make(key, work)
        except Exception:
            _LOG.exception("%s cannot be worked out", key)
        finally:
            with self._lock:
                self._under_way.discard(key)
