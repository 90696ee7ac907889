"""How much slower a machine is now than when it was measured."""

import math

from snnet.serving.options import Options


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
