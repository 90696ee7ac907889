"""One process's part of work that several do together."""

import os
from dataclasses import dataclass

from snnet.errors import SNNetError


@dataclass(frozen=True)
class Share:
    """Process `rank` of `count`, and the part of anything countable that falls to it.

    Attributes:
        rank: Number of the process, from 0.
        count: How many processes there are.
    """

    rank: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.count:
            raise SNNetError(f"There is no process {self.rank} of {self.count}; they are numbered from 0.")

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks for all."""
        return self.rank == 0

    def of(self, total: int) -> slice:
        """Return this process's contiguous part of `total` things; the parts cover all of them once.

        Parts of an even number are even wherever each process can have two, so that mixup can pair images; otherwise
        they differ by one at most.
        """
        unit = 2 if total % 2 == 0 and total >= 2 * self.count else 1
        start, stop = (total // unit * rank // self.count * unit for rank in (self.rank, self.rank + 1))
        return slice(start, stop)


WHOLE = Share()
"""The share of a process that works alone."""


def started_share() -> Share:
    """Return what the launcher (`torchrun`, `accelerate launch`) told this process, without joining the others."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    return Share(int(os.environ.get("RANK", "0")), count) if count > 1 else WHOLE
