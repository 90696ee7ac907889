"""How much slower a machine is now than when it was measured."""

import math

from snnet.serving.options import Options
from snnet.serving.request import Status

_MORE, _LESS, _MOST = 0.03, 0.0006, 1.0
"""Steps of the reserve, in balance where one of fifty that were let in is lost, and its bound."""


class Correction:
    """Keeps `options.factor`: how many times as long calls take now as was measured.

    It follows a call that takes longer fast, and shorter ones slowly; one call that was held up says little, so no call
    counts as more than some times the factor before. What was seen long ago counts less and less: a bad moment after
    which all requests were refused would otherwise never end, for nothing is run that could show it is over.

    Args:
        options: Whose factor it keeps.
        slower: Share of the way that the factor goes to a larger ratio, per call.
        faster: The same to a smaller one.
        most: Times the factor that a call counts as, at most.
        memory: Seconds in which what is more than 1 falls to a third without calls.
    """

    def __init__(
        self, options: Options, *, slower: float = 0.5, faster: float = 0.05, most: float = 4.0, memory: float = 2.0
    ) -> None:
        self.options, self.slower, self.faster, self.most, self.memory = options, slower, faster, most, memory
        self._last = -math.inf

    def observe(self, expected: float, measured: float, now: float) -> None:
        """Take a call into account.

        Args:
            expected: Seconds that it was to take as measured, without the factor.
            measured: Seconds that it took.
            now: When it ended, in seconds.
        """
        self.relax(now)
        before = self.options.factor
        found = min(measured / expected, self.most * before)
        self.options.factor = before + (self.slower if found > before else self.faster) * (found - before)

    def relax(self, now: float) -> None:
        """Forget some of what was seen before a time.

        Args:
            now: That time, in seconds.
        """
        more = self.options.factor - 1
        if more > 0:
            self.options.factor = 1 + more * math.exp(-(now - self._last) / self.memory)
        self._last = now


def reserve_after(reserve: float, status: Status, *, in_time: bool) -> float:
    """Return the share of time to spare that requests must have to be let in, after what became of one that was.

    Calls scatter, so of requests that could just be in time many are not. How many depends on the machine and its other
    work, and shows.

    Args:
        reserve: The share before.
        status: What became of that request.
        in_time: Whether it was answered in time.
    """
    if status not in ("answered", "expired"):
        return reserve
    return max(reserve - _LESS, 0.0) if in_time else min(reserve + _MORE, _MOST)
