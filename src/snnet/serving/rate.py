"""How fast requests arrive, estimated while they do."""

import math


class ArrivalRate:
    """Images per second, in two memories: a short one that sees a burst, and a long one that knows the usual.

    Both are measured in terms of how long requests may take, which is learned as well: what happens within a few of
    such times decides what can be answered. The rate is the larger of both: a burst counts at once, and a pause of a
    moment does not promise that it stays quiet.

    Args:
        short: Length of the short memory, in times that a request may take.
        long: Length of the long one.
    """

    def __init__(self, short: float = 2.0, long: float = 30.0) -> None:
        self.short, self.long = short, long
        self.allowance = 0.0
        self._begin = self._last = math.nan
        self._counts = [0.0, 0.0]

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
        self._counts = [count + size for count in self._counts]

    def __call__(self, now: float) -> float:
        """Return the rate at a time that is not before the last arrival."""
        if self.allowance <= 0:
            return 0.0
        self._decay(now)
        age = now - self._begin
        rates = []
        for count, memory in zip(self._counts, (self.short, self.long), strict=True):
            seconds = memory * self.allowance
            # One request tells little about the rate: a memory counts as at least as long as a request may take.
            rates.append(count / (seconds * max(1 - math.exp(-age / seconds), 1 / memory)))
        return max(rates)

    def _decay(self, now: float) -> None:
        passed = now - self._last
        if passed > 0:
            self._last = now
            for place, memory in enumerate((self.short, self.long)):
                self._counts[place] *= math.exp(-passed / (memory * self.allowance))
