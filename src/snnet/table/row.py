# Tested in tests/table/test_table.py.
"""What is known of one stitch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from snnet.errors import TableError
from snnet.space import Stitch
from snnet.table.columns import column
from snnet.utils import Number, Record, checked_record


@dataclass(frozen=True, repr=False)
class StitchRow:
    """What is known of one stitch; columns read as attributes (`row.macs`, `row.top1`).

    Attributes:
        index: Number of the stitch in its space.
        stitch: Id of the stitch, `0:0-5,1:6-12`; with an ending, `@bf16`, in a table of several precisions.
        values: Column -> number. MACs and parameters are counts, top-1 and top-5 percent, loss nats,
            latency milliseconds and energy millijoules per forward pass, throughput images per second, memory
            megabytes (a million bytes).
    """

    index: int
    stitch: str
    values: Mapping[str, float] = field(default_factory=dict)

    def __getattr__(self, name: str) -> float:
        # Dunder look-ups (copy, pickle) may come before `values` exists.
        if name.startswith("__") or name not in self.values:
            known = "" if name.startswith("__") else f" It has: {', '.join(self.values) or 'none'}."
            raise AttributeError(f"Row {self.__dict__.get('stitch')} has no column {name!r}.{known}")
        return self.values[name]

    def __repr__(self) -> str:
        return f"StitchRow({self.index}, {self.stitch!r}{', ' if self.values else ''}{self.describe()})"

    def describe(self) -> str:
        """Return all values in a line, as people read them: `macs 1.26 G, top1 72.10`."""
        return ", ".join(f"{name} {column(name).text(value)}" for name, value in self.values.items())

    def get(self, name: str, default: float | None = None) -> float | None:
        """Return column `name`, or `default` where this row has no such value."""
        return self.values.get(name, default)

    @property
    def precision(self) -> str:
        """What the stitch runs in, in a table of several precisions; the network's own if empty."""
        return self.stitch.partition("@")[2]

    @cached_property
    def route(self) -> Stitch:
        """The stitch as a value."""
        return Stitch(self.stitch)

    def to_dict(self) -> dict[str, Any]:
        """Return index, stitch and all columns as one flat mapping."""
        return {"index": self.index, "stitch": self.stitch, **self.values}


class RowRecord(Record):
    """A row of a table in a file: number and id of the stitch, and whatever columns there are."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number | None]
    index: int = Field(ge=0)
    stitch: Annotated[str, AfterValidator(lambda text: str(Stitch(text)))]

    @property
    def row(self) -> StitchRow:
        """The row, without the columns that hold nothing."""
        columns = self.__pydantic_extra__
        values = {name: value for name, value in columns.items() if value is not None}
        return StitchRow(self.index, self.stitch, values)


def read_row(source: Path, number: int, row: Any) -> StitchRow:
    """Return the row that a line of a file holds.

    Raises:
        TableError: If it holds none; the message names file, line, field and value.
    """
    return checked_record(RowRecord, row, f"{source}, line {number},", TableError, "write the table anew.").row
