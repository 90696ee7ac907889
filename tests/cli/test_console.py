"""What commands print is whole on terminals of any width, and in a pipe."""

import io
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from snnet.cli import console, main
from snnet.cli.console import heard_or_not, progress, say, show, show_table
from snnet.utils import text_grid
from tests.cli.conftest import Run

WIDTHS = (60, 80, 100)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        return re.sub(r"\x1b\[[\d;]*m", "", self.getvalue()).splitlines()


@pytest.fixture(params=WIDTHS)
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", str(request.param))
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def is_whole(lines: list[str], gone: list[str], headings: list[str], rows: list[list[str]]) -> bool:
    """Tell whether each word of each cell is there in order, but for the columns that are said to be gone."""
    words = [
        word
        for row in (headings, *rows)
        for heading, cell in zip(headings, row, strict=True)
        if heading not in gone
        for word in cell.split()
    ]
    return sorted(words) == sorted(" ".join(lines).split())


def test_every_table_of_every_command(run: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[tuple[list[str], list[list[str]], dict[str, Any]]] = []

    def recorded(headings: Any, rows: Any, **options: Any) -> tuple[list[str], list[str]]:
        tables.append((list(headings), [list(row) for row in rows], {k: v for k, v in options.items() if k != "width"}))
        return text_grid(headings, tables[-1][1], **options)

    monkeypatch.setattr(console, "text_grid", recorded)
    quick = ("--run.steps", "1", "--data.batch-size", "8", "--evaluation.images", "20", "--evaluation.budgets", "1e6")
    profile = ("profile", saved, "--stitches", "0 1 5", "--batch-sizes", "1", "2", "--repeats", "1", "--warmup", "0")
    made = ("vit_fm_tiny", "vit_fm_small", "--no-pretrained", "--images", "2")
    commands: tuple[tuple[object, ...], ...] = (
        ("space", "12", "12", "12"),
        ("cost", saved),
        ("init", *made, "--output", tmp_path / "new"),
        ("train", saved, "--output", tmp_path / "run", *quick, "--evaluation.stitches", "anchors"),
        ("evaluate", saved, "--stitches", "0 1 5", "--batch-size", "1000"),
        profile,
        ("report", saved, "--output", tmp_path / "report"),
        ("select", saved, "--macs", "1G"),
        ("export", saved, "--stitch", "1", "--output", tmp_path / "one.pt2"),
    )
    for tokens in commands:
        outcome = run(*tokens)
        assert outcome.code == 0, outcome.err
        assert "No room" not in outcome.out
    assert len(tables) >= 6
    for headings, rows, options in tables:
        for width in WIDTHS:
            lines, gone = text_grid(headings, rows, **options, width=width)
            assert max(map(len, lines)) <= width
            assert is_whole(lines, gone, headings, rows)
        # Eighty characters hold what matters of all but profiles of several batch sizes.
        assert "ms@2" in headings or text_grid(headings, rows, **options, width=80)[1] == []


def test_a_table_on_a_terminal_says_what_it_leaves_out(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", terminal)
    headings = ["#", "stitch", *(f"column {number}" for number in range(9))]
    rows = [[str(n), f"0:0-{n},1:{n}-12", *("1,234.567" for _ in range(9))] for n in range(1, 4)]
    show_table(headings, rows, title="Title", spare=headings[:1:-1])
    title, *lines, left_out = terminal.lines
    assert title == "Title" and all(len(line) <= console.console().width for line in lines)
    gone = left_out.removeprefix("No room for ").partition(";")[0].split(", ")
    assert gone == headings[-len(gone) :] and is_whole(lines, gone, headings, rows)


def test_a_table_in_a_pipe_has_all(capsys: pytest.CaptureFixture[str]) -> None:
    headings = [f"a long heading {number}" for number in range(40)]
    show_table(headings, [["1.25"] * 40], spare=headings[1:])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and is_whole(lines, [], headings, [["1.25"] * 40])


def test_commands_on_a_terminal(
    terminal: Terminal, saved: Path, reference_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal)
    published = reference_dir / "deit_ti_s_b.json"
    for tokens in (("space", "12", "12", "12"), ("cost", saved), ("select", published, "--macs", "3G")):
        assert main([str(token) for token in tokens]) == 0
    table = [line for line in terminal.lines if line.lstrip().partition(" ")[0].isdigit()]
    assert len(table) > 71 and all(len(line) <= console.console().width for line in table)
    assert "…" not in terminal.getvalue()


def test_without_a_terminal_first_and_last_are_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Working") as report:
        for done in range(1, 6):
            report(done, 5, "note")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["Working: 1/5 note", "Working: 5/5 note"]


def test_an_unknown_total(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Reading") as report:
        report(1, 0, "")
    assert capsys.readouterr().err == "Reading: 1\n"


def test_work_goes_on_where_nobody_reads_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, speak in (("stderr", lambda: say("words")), ("stdout", lambda: show("words"))):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as stream:
            monkeypatch.setattr(sys, name, stream)
            for _ in range(2):
                with heard_or_not():
                    speak()
            print("more", file=stream, flush=True)


def test_what_is_said_below_a_bar_stands_whole_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("Working") as report:
        say("SIGINT received")
        report(1, 2, "")
    written = terminal.getvalue()
    # The bar's line is cleared before, and the bar drawn anew below.
    assert re.search(r"\x1b\[2KSIGINT received\r?\n.*Working", written), repr(written)
    assert "1/2" in written and "0/?" not in written
