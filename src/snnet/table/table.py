"""One row per stitch, one column per cost or score: the artefact that all parts of the library share."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnet.errors import TableError, did_you_mean
from snnet.space import Stitch, as_number
from snnet.table.columns import SCORE, column, in_order
from snnet.table.facts import describe_profile, read_facts
from snnet.table.hits import Hits, hits_file
from snnet.table.reliability import cells
from snnet.table.row import StitchRow, read_row
from snnet.utils import counted, html_grid, is_intact, parsed_json, sealed, text_grid, write_text

if TYPE_CHECKING:
    import pandas as pd

FORMAT, VERSION = "snnet-table", 1
_SHOWN_IN_TEXT, _SHOWN_IN_HTML = 8, 50


class StitchTable:
    """An ordered, immutable set of rows with a few facts about how they were measured.

    Args:
        rows: One row per stitch, in the order of the space.
        meta: Facts about the whole table: names and depths of the anchors, versions, date, the machine of latencies.
        hits: What stitches got right, image by image; those of `rows` if that is a table.

    Raises:
        TableError: If two rows bear the same stitch.
    """

    def __init__(
        self, rows: Iterable[StitchRow], meta: Mapping[str, Any] | None = None, hits: Hits | None = None
    ) -> None:
        self._hits: Hits | None = rows._hits if hits is None and isinstance(rows, StitchTable) else hits
        self.rows = tuple(rows)
        self.meta: dict[str, Any] = dict(meta or {})
        if len(self._by_id) != len(self.rows):
            raise TableError(f"A table has one row per stitch; {len(self.rows) - len(self._by_id)} are repeated.")

    @cached_property
    def _by_id(self) -> dict[str, StitchRow]:
        return {row.stitch: row for row in self.rows}

    @cached_property
    def _by_index(self) -> dict[int, StitchRow]:
        return {row.index: row for row in sorted(self.rows, key=lambda row: row.precision, reverse=True)}

    @property
    def score(self) -> str:
        """The column of scores that is meant where none is named: top-1, unless its facts say otherwise."""
        return str(self.meta.get("score", SCORE))

    @cached_property
    def hits(self) -> Hits | None:
        """What stitches got right, image by image, of those whose top-1 it adds up to; None if there are none."""
        facts, scores = self.meta.get("evaluation") or {}, {row.stitch: row.get(self.score) for row in self}
        return self._hits and self._hits.behind(scores, facts)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[StitchRow]:
        return iter(self.rows)

    def __contains__(self, stitch: int | str | Stitch) -> bool:
        return self._find(stitch) is not None

    def __getitem__(self, stitch: int | str | Stitch) -> StitchRow:
        """Return the row of a stitch by its number, which means the network's own precision, its id, or as a value.

        Raises:
            TableError: If the table has no such stitch.
        """
        if (found := self._find(stitch)) is None:
            hint = did_you_mean(str(stitch), self._by_id)
            raise TableError(f"The table of {counted(len(self), 'row')} has no stitch {stitch!s}.{hint}")
        return found

    def _find(self, stitch: int | str | Stitch) -> StitchRow | None:
        number = as_number(stitch)
        return self._by_id.get(str(stitch)) if number is None else self._by_index.get(number)

    def __repr__(self) -> str:
        lines, _ = text_grid(*self._grid(_SHOWN_IN_TEXT), left=("stitch",))
        more = len(self) - _SHOWN_IN_TEXT
        return "\n".join([self._title, *lines, *([f"... and {more} more"] if more > 0 else [])])

    def _repr_html_(self) -> str:
        title = self._title + (f", the first {_SHOWN_IN_HTML}" if len(self) > _SHOWN_IN_HTML else "")
        return html_grid(*self._grid(_SHOWN_IN_HTML), left=("stitch",), caption=title)

    @property
    def _title(self) -> str:
        return ", ".join(filter(None, (f"StitchTable: {counted(len(self), 'stitch')}", describe_profile(self.meta))))

    def _grid(self, count: int) -> tuple[list[str], list[list[str]]]:
        """Return the headings and the first rows as people read them."""
        shown, names = self.rows[:count], [name for name in self.columns if not column(name).is_half]
        values = cells(self.rows, shown, names)
        rows = [[str(row.index), row.stitch, *texts] for row, texts in zip(shown, values, strict=True)]
        return ["#", "stitch", *(column(name).heading for name in names)], rows

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that at least one row has: the standard ones first."""
        return in_order(name for row in self.rows for name in row.values)

    @property
    def anchors(self) -> "StitchTable":
        """The rows of the anchors alone."""
        return self.where(lambda row: row.route.is_anchor)

    @property
    def stitched(self) -> "StitchTable":
        """The rows of routes with a cut: all but the anchors."""
        return self.where(lambda row: not row.route.is_anchor)

    def column(self, name: str) -> list[float | None]:
        """Return one column in order, None where a row has no value.

        Raises:
            TableError: If no row has the column.
        """
        if name not in self.columns:
            raise TableError(f"The table has no column {name!r}; it has {', '.join(self.columns) or 'none'}.")
        return [row.get(name) for row in self.rows]

    def where(self, keep: Callable[[StitchRow], bool]) -> "StitchTable":
        """Return the rows for which `keep` is true, with their numbers unchanged."""
        return StitchTable((row for row in self.rows if keep(row)), self.meta, self._hits)

    def with_column(self, name: str, values: Mapping[str, float]) -> "StitchTable":
        """Return a table in which the stitches named in `values` have that value in column `name`.

        Raises:
            TableError: If the table lacks one of the stitches.
        """
        if unknown := [stitch for stitch in values if stitch not in self._by_id]:
            raise TableError(f"Column {name!r} names stitches that the table does not have: {', '.join(unknown[:3])}.")
        found = {stitch: {name: value} for stitch, value in values.items()}
        return self.with_values(lambda row: {**row.values, **found.get(row.stitch, {})})

    def with_values(self, values: Callable[[StitchRow], Mapping[str, float]]) -> "StitchTable":
        """Return the table with the values of each row that a function gives for it."""
        return StitchTable((StitchRow(row.index, row.stitch, values(row)) for row in self.rows), self.meta, self._hits)

    def without(self, *names: str) -> "StitchTable":
        """Return the table without these columns, as far as it has them."""
        return self.with_values(lambda row: {k: v for k, v in row.values.items() if k not in names})

    def merge(self, other: "StitchTable") -> "StitchTable":
        """Return this table with the values and facts of `other` laid over it.

        Raises:
            TableError: If `other` has a stitch that this table has not, or numbers one differently.
        """
        for row in other.rows:
            if self[row.stitch].index != row.index:
                raise TableError(
                    f"Stitch {row.stitch} has number {self[row.stitch].index} in one table and {row.index} in the "
                    "other: they belong to different spaces."
                )
        found = {row.stitch: row.values for row in other}
        rows = self.with_values(lambda row: {**row.values, **found.get(row.stitch, {})})
        hits = self._hits if other._hits is None else other._hits.over(self._hits)
        return StitchTable(rows, {**self.meta, **other.meta}, hits)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a DataFrame with columns `index`, `stitch` and one per measured quantity."""
        import pandas as pd

        return pd.DataFrame([row.to_dict() for row in self.rows], columns=["index", "stitch", *self.columns])

    def save(self, path: str | Path) -> Path:
        """Write the table as JSON Lines, whole or not at all: a line of facts, then a line per stitch.

        Its hits lie beside it, in a file of their own (`hits_file`).
        """
        if self.hits is not None:  # before the rows, which hits of other facts do not disturb
            self.hits.save(hits_file(path))
        rows = [row.to_dict() for row in self.rows]
        head = {"format": FORMAT, "version": VERSION, "meta": self.meta}
        lines = map(json.dumps, [{**head, "digest": sealed({"meta": self.meta, "rows": rows})["digest"]}, *rows])
        written = write_text(path, "\n".join(lines) + "\n")
        if self.hits is None:
            hits_file(path).unlink(missing_ok=True)
        return written

    @classmethod
    def load(cls, path: str | Path) -> "StitchTable":
        """Read a table that `save` wrote, with its hits, or a JSON object with its rows under `stitches`.

        Raises:
            TableError: If the file is missing or is not such a table, the message names the line; or if the file of
                its hits is damaged.
        """
        source = Path(path)
        if not source.is_file():
            raise TableError(f"There is no table at {source}; `snnet evaluate` and `snnet profile` write one.")
        try:
            text = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TableError(f"{source} cannot be read as a table ({error}); write the table anew.") from None
        whole = None
        with suppress(ValueError, RecursionError):
            whole = json.loads(text)
        if not isinstance(whole, dict) or not isinstance(whole.get("stitches"), list):
            return cls._from_lines(source, text.splitlines())
        rows = [read_row(source, 1, row) for row in whole.pop("stitches")]
        return cls._checked(source, rows, read_facts(str(source), whole))

    @classmethod
    def _from_lines(cls, source: Path, lines: list[str]) -> "StitchTable":
        parsed: list[Any] = [
            parsed_json(line, f"{source}, line {number},", TableError, "write the table anew.")
            for number, line in enumerate(lines, 1)
        ]
        head = parsed[0] if parsed and isinstance(parsed[0], dict) else {}
        if head.get("format") != FORMAT:
            raise TableError(f"{source} is not a stitch table: its first line lacks 'format': '{FORMAT}'.")
        if (found := head.get("version", 0)) not in range(VERSION + 1):
            raise TableError(f"{source} has table version {found!r}; this snnet reads up to {VERSION}: update.")
        rows = [read_row(source, number, row) for number, row in enumerate(parsed[1:], 2)]
        facts = read_facts(f"{source}, line 1,", head.get("meta") or {})
        seal = {"digest": head["digest"]} if "digest" in head else {}
        if not is_intact({"meta": head.get("meta"), "rows": parsed[1:], **seal}):
            raise TableError(
                f"{source} is damaged or was changed: its digest is another; write the table anew, or remove 'digest' "
                "from its first line to take it as it is."
            )
        hits = hits_file(source)
        return cls._checked(source, rows, facts, Hits.load(hits) if hits.is_file() else None)

    @classmethod
    def _checked(
        cls, source: Path, rows: list[StitchRow], facts: dict[str, Any], hits: Hits | None = None
    ) -> "StitchTable":
        for what in ("stitch", "index"):
            counts = Counter((getattr(row, what), row.precision) for row in rows)
            if twice := [value for (value, _), count in counts.items() if count > 1]:
                raise TableError(f"{source} has the {what} {twice[0]!r} in two rows; write the table anew.")
        return cls(rows, facts, hits)
