"""The part of some work that one of several processes does."""

from dataclasses import dataclass

from snnet.errors import DataError


@dataclass(frozen=True)
class Share:
    """One process among several, each of which takes a contiguous part of every batch.

    Attributes:
        rank: Number of the process, from 0.
        count: Number of processes.

    Raises:
        DataError: If there is no such process.
    """

    rank: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.count:
            raise DataError(f"Share {self.rank} of {self.count} does not exist; ranks go from 0 to count - 1.")

    def bounds(self, total: int) -> tuple[int, int]:
        """Return where this part of `total` things begins and ends; parts differ by at most one thing."""
        return total * self.rank // self.count, total * (self.rank + 1) // self.count
