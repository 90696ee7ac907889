import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.utils import html_grid, text_grid

WORDS = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=9)


def test_columns_are_aligned_by_kind() -> None:
    lines, gone = text_grid(
        ["#", "stitch", "MACs"], [["1", "0:0-12", "1.26 G"], ["10", "1:0-9", "5 M"]], left=["stitch"]
    )
    assert lines == [" #  stitch    MACs", " 1  0:0-12  1.26 G", "10  1:0-9      5 M"]
    assert gone == []


def test_text_is_broken_before_a_column_goes() -> None:
    rows = [["some words of prose", "1.50", "2.50"]]
    lines, gone = text_grid(["", "a", "b"], rows, left=[""], width=20, spare=["b"])
    assert lines == ["             a     b", "some      1.50  2.50", "words of", "prose"]
    assert gone == []


def test_columns_go_in_the_order_given_and_are_named_as_they_stand() -> None:
    rows = [["1", "22222", "33333", "44444"]]
    lines, gone = text_grid(["a", "b", "c", "d"], rows, width=10, spare=["d", "b", "c"])
    assert lines == ["a      c", "1  33333"] and gone == ["b", "d"]


def test_long_words_are_broken_only_when_nothing_can_be_spared() -> None:
    lines, _ = text_grid(["stitch", "top-1 %"], [["0:0-12,1:12-24", "72.10"]], left=["stitch"], width=18)
    assert lines == ["stitch     top-1 %", "0:0-12,1:    72.10", "12-24"]


@given(
    rows=st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=4).map(" ".join), WORDS), max_size=4),
    width=st.integers(32, 60),
)
def test_nothing_is_cut_and_no_line_is_too_long(rows: list[tuple[str, str, str]], width: int) -> None:
    headings = ("one", "text", "two")
    lines, gone = text_grid(headings, rows, left=["text"], width=width, spare=["two"])
    assert all(len(line) <= width for line in lines)
    cells = [cell for row in rows for cell, name in zip(row, headings, strict=True) if name not in gone]
    assert sorted(" ".join(lines[1:]).split()) == sorted(" ".join(cells).split())


def test_html_is_escaped() -> None:
    found = html_grid(["a<b", "n"], [["<script>", "1"]], left=["a<b"], caption="x & y")
    assert "<script>" not in found and "&lt;script&gt;" in found and "x &amp; y" in found and "a&lt;b" in found
    assert found.count("<tr>") == 2 and 'text-align:left">a' in found and 'text-align:right">1' in found


@pytest.mark.parametrize("rows", [[], [["1", "2"]]])
def test_headings_stand_alone(rows: list[list[str]]) -> None:
    assert len(text_grid(["a", "b"], rows)[0]) == 1 + len(rows)
