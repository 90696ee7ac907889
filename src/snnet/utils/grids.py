"""Small tables as plain text and as HTML, whole at any width."""

import html
import textwrap
from collections.abc import Collection, Iterable, Sequence
from itertools import zip_longest

_GAP = 2
_NARROWEST = 8


def text_grid(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: Collection[str] = (),
    width: int | None = None,
    spare: Sequence[str] = (),
) -> tuple[list[str], list[str]]:
    """Return the lines of a table, the headings first, and the headings of columns for which there was no room.

    Nothing is ever cut off. Where the width is not enough, text is broken between words; then columns are left out;
    only when none can be spared any more are words broken.

    Args:
        headings: One for each column.
        rows: Cells as text.
        left: Headings of columns of text, aligned left; others are aligned right and never broken.
        width: Characters to a line; as many as are needed if None.
        spare: Headings of columns that may be left out, the first one first.
    """
    columns = [_Column(cells, is_text=cells[0] in left) for cells in zip(headings, *rows, strict=True)]
    kept = list(columns)
    if width is not None:
        for heading in spare:
            if _total(column.least for column in kept) <= width:
                break
            kept.remove(next(column for column in kept if column.cells[0] == heading))
        _squeeze(kept, width)
    lines = [line for row in zip(*(column.cells for column in kept), strict=True) for line in _broken(row, kept)]
    return lines, [column.cells[0] for column in columns if column not in kept]


def html_grid(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, left: Collection[str] = (), caption: str = ""
) -> str:
    """Return a table as HTML for notebooks, every text escaped.

    Args:
        headings: One for each column.
        rows: Cells as text.
        left: Headings of columns of text, aligned left.
        caption: A line above the table.
    """
    sides = ["left" if heading in left else "right" for heading in headings]

    def line(tag: str, row: Sequence[str]) -> str:
        cells = zip(row, sides, strict=True)
        return "".join(f'<{tag} style="text-align:{side}">{html.escape(cell)}</{tag}>' for cell, side in cells)

    head = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table>{head}<thead><tr>{line('th', headings)}</tr></thead><tbody>{body}</tbody></table>"


class _Column:
    """A heading and the cells below it, how wide they are, and how narrow they may become."""

    def __init__(self, cells: Sequence[str], *, is_text: bool) -> None:
        self.cells, self.is_text = cells, is_text
        self.width = self.least = max(map(len, cells))
        if is_text:
            self.least = max((len(word) for cell in cells for word in cell.split()), default=0)


def _total(widths: Iterable[int]) -> int:
    return sum(width + _GAP for width in widths) - _GAP


def _squeeze(columns: Sequence[_Column], width: int) -> None:
    """Let the columns of text give what is missing, the widest most; words are broken only when nothing else helps."""
    texts = [column for column in columns if column.is_text]
    for _ in ("between words", "within words"):
        while (missing := _total(column.width for column in columns) - width) > 0:
            able = [column for column in texts if column.width > column.least]
            if not able:
                break
            widest = max(able, key=lambda column: column.width)
            widest.width -= min(missing, widest.width - widest.least)
        for column in texts:
            column.least = _NARROWEST


def _broken(row: Sequence[str], columns: Sequence[_Column]) -> list[str]:
    """Return the lines of one row."""
    parts = [
        textwrap.wrap(cell, column.width, break_on_hyphens=False) or [""] if column.is_text else [cell]
        for cell, column in zip(row, columns, strict=True)
    ]
    lines = []
    for cells in zip_longest(*parts, fillvalue=""):
        aligned = (
            cell.ljust(column.width) if column.is_text else cell.rjust(column.width)
            for cell, column in zip(cells, columns, strict=True)
        )
        lines.append((" " * _GAP).join(aligned).rstrip())
    return lines
