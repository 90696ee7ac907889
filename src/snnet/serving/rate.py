"""How fast requests arrive, estimated while they do."""

import math


class ArrivalRate:
    """Images per second, with a memory that fades.

    The memory is as long as several times what requests may take, which is learned as well. It is long on purpose: that
    many have just come is seen in the queue, and a burst says little about what comes after it.

    Args:
        memory: Its length, in times that a request may take.
    """

    def __init__(self, memory: float = 20.0) -> None:
        self.memory = memory
        self.allowance = 0.0
        self._begin = self._last = math.nan
        self._count = 0.0

    def observe(self, arrival: float, allowance: float, size: int = 1) -> None:
        """Take an arrival into account.

        Args:
            arrival: When it was, in seconds.
            allowance: Seconds between it and its deadline.
            size: Images in it.
        """
        if math.isnan(self._begin):
            self._begin = self._last = arrival
            self.allowance = allowance
        self.allowance += 0.02 * (allowance - self.allowance)
        self._decay(arrival)
        self._count += size

    def __call__(self, now: float) -> float:
        """Return the rate at a time that is not before the last arrival."""
        if self.allowance <= 0:
            return 0.0
        self._decay(now)
        seconds = self.memory * self.allowance
        # A short time tells little: it counts as a quarter of the memory at least.
        known = max(1 - math.exp((self._begin - now) / seconds), 0.25)
        return self._count / (seconds * known)

    def _decay(self, now: float) -> None:
        passed = now - self._last
        if passed > 0 and self.allowance > 0:
            self._last = now
            self._count *= math.exp(-passed / (self.memory * self.allowance))
