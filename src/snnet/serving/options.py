"""What a service can do at any moment: stitches at batch sizes, how long each takes, and how well it answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnet.errors import BudgetError
from snnet.table import LATENCY, StitchTable, at_batch, column, measured, measured_batches, require_columns


@dataclass(frozen=True, slots=True)
class Option:
    """One stitch at one batch size.

    Attributes:
        stitch: Its id, which ends with a precision, `@bf16`, where it does not run in the network's own.
        batch: Images that it answers at once.
        latency: Seconds that this takes; those within which 95 of 100 calls are over.
        score: What the table says of the stitch.
    """

    stitch: str
    batch: int
    latency: float
    score: float


class Options:
    """All that a service can do, of one machine and engine.

    A *row* is a stitch in one precision. It has a latency for each number of images up to its largest batch size:
    between batch sizes that were measured on the straight line between them, and never less than for fewer images. Rows
    that another one beats at every batch size are left out, unless somebody asks for them by name (`within`). Rows are
    in order of score, the lowest first.

    Args:
        options: Those that were measured.
        costs: Columns of each stitch, which limits of requests refer to.
        max_batch: Largest number of images in a batch.
        less_is_better: Whether that is so of scores, as of errors.

    Attributes:
        stitches: Id of each row.
        scores: Score of each row `(rows,)`; of errors what they lack to twice the largest, so that more is better.
        latencies: Seconds of each row for 1, 2, ... images `(rows, images)`; infinite beyond its largest batch size.

    Raises:
        BudgetError: If there is no option, or one is impossible.
    """

    def __init__(
        self,
        options: Iterable[Option],
        *,
        costs: Mapping[str, Mapping[str, float]] | None = None,
        max_batch: int = 32,
        less_is_better: bool = False,
    ) -> None:
        given = sorted(options, key=lambda one: (one.stitch, one.batch))
        for one in given:
            if one.batch < 1 or not one.latency > 0 or not np.isfinite([one.latency, one.score]).all():
                raise BudgetError(f"{one} is impossible; accepted: a batch of 1 and more, a latency above 0, a score.")
        if not given or max_batch < 1:
            raise BudgetError(f"There are {len(given)} options up to batch {max_batch}; give at least one.")
        self._factor = [1.0]  # one for all that are made of these
        self._costs = dict(costs or {})
        nothing = 2 * max(one.score for one in given) if less_is_better else None
        self._all = [_Row.of(list(same), max_batch, nothing) for _, same in groupby(given, lambda o: o.stitch)]
        self._fill(_useful(self._all))

    def _fill(self, rows: "Sequence[_Row]") -> None:
        self._rows = tuple(sorted(rows, key=lambda row: (row.worth, -row.latencies[0])))
        longest = max(len(row.latencies) for row in self._rows)
        self.stitches = tuple(row.stitch for row in self._rows)
        self.scores = np.array([row.worth for row in self._rows])
        self.latencies = np.full((len(self._rows), longest), np.inf)
        for place, row in enumerate(self._rows):
            self.latencies[place, : len(row.latencies)] = row.latencies
        quickest = self.latencies.min(axis=0)
        self._soonest: list[float] = quickest.tolist()
        self._best_batch = 1 + int((quickest / np.arange(1, longest + 1)).argmin())
        self._options = [
            [Option(row.stitch, batch, latency, row.score) for batch, latency in enumerate(row.latencies, 1)]
            for row in self._rows
        ]

    @classmethod
    def of(cls, table: StitchTable, *, score: str | None = None, max_batch: int = 32) -> "Options":
        """Return the options of a table: all stitches with a score, at all batch sizes with a latency.

        Where the table has no 95th percentile, as of latencies predicted from blocks, the median counts, and two of its
        error bars on top where it has some.

        Args:
            table: What is known, with latencies of this machine and engine (`snnet.profile`).
            score: Column that says how well a stitch answers; that which the table is chosen by if None.
            max_batch: Largest number of images in a batch.

        Raises:
            TableError: If the table has no latencies or no such column of scores.
            BudgetError: If no stitch has both.
        """
        score = score or table.score
        require_columns(table, score, *([] if measured_batches(table, LATENCY) else [LATENCY]))
        batches = [batch for batch in measured_batches(table, LATENCY) if batch <= max_batch]
        options = [
            Option(row.stitch, batch, seconds, row.values[score])
            for row in table
            if measured(row, score)
            for batch in batches
            if (seconds := _seconds(row.values, batch)) is not None
        ]
        costs, less = {row.stitch: row.values for row in table}, not column(score).higher_is_better
        return cls(options, costs=costs, max_batch=max_batch, less_is_better=less)

    @property
    def factor(self) -> float:
        """How many times as long calls take now as was measured.

        Whoever compares a latency with a time that is left multiplies by it. Options that were made of these by
        `within` share it.
        """
        return self._factor[0]

    @factor.setter
    def factor(self, factor: float) -> None:
        self._factor[0] = factor

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._rows)

    @property
    def max_batch(self) -> int:
        """Images that can be answered at once."""
        return self.latencies.shape[1]

    @property
    def fastest(self) -> float:
        """Seconds, as they are now, that the quickest answer to one image takes."""
        return self.soonest(1)

    def soonest(self, images: int) -> float:
        """Return the seconds, as they are now, in which so many images can be answered; infinite if they cannot."""
        return self._soonest[images - 1] * self.factor if images <= self.max_batch else float("inf")

    def soonest_of_all(self, images: int) -> float:
        """Return the seconds, as they are now, in which one worker can answer so many images in as many batches."""
        whole, rest = divmod(images - 1, self._best_batch)
        return whole * self.soonest(self._best_batch) + self.soonest(rest + 1)

    def at(self, row: int, images: int) -> Option:
        """Return the option of a row for so many images."""
        return self._options[row][images - 1]

    def within(self, stitch: str = "", limits: Sequence[tuple[str, float]] = ()) -> "Options":
        """Return those of one stitch, or of the stitches within limits.

        Args:
            stitch: Id of the only one; any if empty.
            limits: Columns with what a stitch may have there at most.

        Raises:
            BudgetError: If there is none.
        """
        left = [
            row
            for row in self._all
            if stitch in ("", row.stitch)
            and all(self._costs.get(row.stitch, {}).get(name, np.inf) <= most for name, most in limits)
        ]
        if not left:
            asked = [*([f"stitch {stitch}"] if stitch else []), *(f"{name} <= {most:g}" for name, most in limits)]
            raise BudgetError(f"No stitch of this service is {' and '.join(asked)}; it has {len(self._all)}.")
        return self._of(left, _useful(left))

    def rounded(self, limits: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
        """Return limits rounded down to what a stitch has, so that wishes that come to the same share batches.

        Args:
            limits: Columns with what a stitch may have there at most.
        """
        known = [(most, [row.get(name, np.inf) for row in self._costs.values()]) for name, most in limits]
        fitting = [max((value for value in values if value <= most), default=most) for most, values in known]
        return tuple((name, value) for (name, _), value in zip(limits, fitting, strict=True))

    def of_stitches(self, stitches: Iterable[str]) -> "Options":
        """Return those of some stitches, all of which stay.

        Args:
            stitches: Their ids.

        Raises:
            BudgetError: If none of them is here.
        """
        wanted = set(stitches)
        left = [row for row in self._all if row.stitch in wanted]
        if not left:
            raise BudgetError(f"This service has none of the stitches {', '.join(sorted(wanted))}.")
        return self._of(left, left)

    def _of(self, rows: "list[_Row]", shown: "list[_Row]") -> "Options":
        found = object.__new__(type(self))
        found._all, found._costs, found._factor = rows, self._costs, self._factor
        found._fill(shown)
        return found


@dataclass(frozen=True)
class _Row:
    stitch: str
    score: float
    worth: float
    latencies: list[float] = field(repr=False)

    @classmethod
    def of(cls, options: list[Option], max_batch: int, nothing: float | None) -> "_Row":
        score = options[0].score
        batches, seconds = [one.batch for one in options], [one.latency for one in options]
        largest = min(batches[-1], max_batch)
        between = np.interp(np.arange(1, largest + 1), batches, seconds)
        latencies: NDArray[Any] = np.maximum.accumulate(between)
        return cls(options[0].stitch, score, score if nothing is None else nothing - score, latencies.tolist())


def _useful(rows: "Sequence[_Row]") -> "list[_Row]":
    """Return the rows that no other one beats at every batch size."""
    left: list[_Row] = []
    for row in sorted(rows, key=lambda one: (-one.worth, one.latencies)):
        quicker = (
            other
            for other in left
            if len(other.latencies) >= len(row.latencies)
            and all(a <= b for a, b in zip(other.latencies, row.latencies, strict=False))
        )
        if next(quicker, None) is None:
            left.append(row)
    return left


def _seconds(values: Mapping[str, float], batch: int) -> float | None:
    """Return the latency that a row of a table has for a batch, in seconds."""
    high = values.get(at_batch(f"{LATENCY}_p95", batch))
    if high is None and (middle := values.get(at_batch(LATENCY, batch))) is not None:
        high = middle + 2 * values.get(at_batch(LATENCY, batch) + "_error", 0.0)
    return high / 1e3 if high is not None and np.isfinite(high) else None
