"""Who is told how far work is, and who sees a bar: in a pseudo-terminal, a pipe, and another process than the first."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from types import SimpleNamespace

import pytest

from snnet.utils import Show, shows_progress

WORK = """
from snnet.utils import Show, shows_progress

@shows_progress("Scoring for the sampler")
def work(*, progress: Show = None) -> None:
    for done in (123455, 123456):
        if progress:
            progress(done, 123456, "group 13/16 (44 stitches), loss 2.302  lr 1.0e-04  1,234 images/s, 0:0-11,1:11-12")

work(OPTION)
"""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def program(option: str = "") -> str:
    """Return code that calls something long with one option."""
    return WORK.replace("OPTION", option)


def in_terminal(code: str, width: int, **environment: str) -> str:
    """Return what a program writes to stderr where that is a terminal so wide, without colors."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    given = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    given |= {"TERM": "xterm", **environment}
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=given) as process:
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 65536):
                written += part
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0, written
    return _ESCAPES.sub("", written.decode())


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_shows_a_bar_that_is_whole(width: int) -> None:
    written = in_terminal(program(), width).replace("\r", "\n")
    lines = [line.rstrip() for line in written.splitlines() if line.strip()]
    assert all(len(line) <= width for line in lines) and "…" not in written
    last = lines[max(n for n, line in enumerate(lines) if "123456/123456" in line) :]
    assert last[0].startswith("Scoring for the sampler")
    note = "group 13/16 (44 stitches), loss 2.302  lr 1.0e-04  1,234 images/s, 0:0-11,1:11-12"
    assert note.replace(" ", "") in "".join(last).replace(" ", "")


def test_a_bar_can_be_refused_and_a_function_takes_its_place() -> None:
    assert in_terminal(program("progress=False"), 80) == ""
    function = "progress=lambda *told: print(told[:2])"
    assert in_terminal(program(function), 80) == ""


def test_nothing_is_written_by_another_process_than_the_first() -> None:
    assert in_terminal(program(), 80, RANK="1", WORLD_SIZE="2") == ""
    assert "123456" in in_terminal(program(), 80, RANK="0", WORLD_SIZE="2")


def test_nothing_is_written_to_a_pipe() -> None:
    done = subprocess.run([sys.executable, "-c", program()], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_what_the_function_is_given() -> None:
    @shows_progress("Working")
    def work(count: int, *, progress: Show = None) -> Show:
        """Count."""
        if progress:
            progress(1, count, "note")
        return progress

    told: list[tuple[int, int, str]] = []
    work(3, progress=lambda *step: told.append(step))
    assert told == [(1, 3, "note")]
    # Not None, which in a call within would again ask for a bar.
    assert work(3) is False and work(3, progress=False) is False
    assert (work.__name__, work.__doc__) == ("work", "Count.")


def test_a_notebook_shows_the_bar_as_text_of_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class ZMQInteractiveShell:
        pass

    class Cell:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append(data["text/plain"])

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Cell:
        assert raw and display_id
        shown.append(data["text/plain"])
        return Cell()

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=ZMQInteractiveShell))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))  # type: ignore[arg-type]

    @shows_progress("Least squares")
    def work(*, progress: Show = None) -> None:
        assert progress
        for done in range(1, 1001):
            progress(done, 1000, f"layer {done}")

    work()
    assert shown[0] == "Least squares" and "1000/1000" in shown[-1] and "layer 1000" in shown[-1]
    assert len(shown) < 20  # of a thousand reports
