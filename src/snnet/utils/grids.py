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
    cells = [list(headings), *map(list, rows)]
    kept = list(range(len(headings)))
    texts = [n for n in kept if headings[n] in left]
    wide = [max(len(row[n]) for row in cells) for n in kept]
    words = [max((len(word) for row in cells for word in row[n].split()), default=0) for n in kept]
    gone: list[str] = []
    if width is not None:
        for heading in spare:
            if _total(kept, [words[n] if n in texts else wide[n] for n in range(len(wide))]) <= width:
                break
            kept.remove(headings.index(heading))
            gone.append(heading)
        wide = _squeezed(wide, words, kept, texts, width)
    lines = [line for row in cells for line in _broken(row, wide, kept, texts)]
    return lines, [heading for heading in headings if heading in gone]


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


def _total(kept: Sequence[int], wide: Sequence[int]) -> int:
    return sum(wide[n] for n in kept) + _GAP * (len(kept) - 1)


def _squeezed(wide: list[int], words: list[int], kept: list[int], texts: list[int], width: int) -> list[int]:
    """Return the widths of the columns after those of text have given what is missing, the widest most."""
    found = list(wide)
    for least in (words, [_NARROWEST] * len(wide)):
        while (missing := _total(kept, found) - width) > 0:
            able = [n for n in texts if n in kept and found[n] > least[n]]
            if not able:
                break
            widest = max(able, key=found.__getitem__)
            found[widest] -= min(missing, found[widest] - least[widest])
    return found


def _broken(row: Sequence[str], wide: Sequence[int], kept: Sequence[int], texts: Collection[int]) -> list[str]:
    """Return the lines of one row."""
    parts = [textwrap.wrap(row[n], wide[n], break_on_hyphens=False) or [""] if n in texts else [row[n]] for n in kept]
    lines = []
    for cells in zip_longest(*parts, fillvalue=""):
        aligned = (
            cell.ljust(wide[n]) if n in texts else cell.rjust(wide[n]) for n, cell in zip(kept, cells, strict=True)
        )
        lines.append((" " * _GAP).join(aligned).rstrip())
    return lines
