import io
import re

import pytest
from rich.console import Console

from snnet.cli.progress import progress


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


@pytest.mark.parametrize("width", [60, 80, 100])
def test_bars_are_whole_at_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    out = Console(file=screen, width=width, force_terminal=True, color_system=None, legacy_windows=False)
    monkeypatch.setattr("snnet.cli.progress.console", lambda **_: out)
    note = "group 13/16 (44 stitches), loss 2.302  lr 1.0e-04  1,234 images/s, 0:0-11,1:11-12,2:11-12"
    with progress("Scoring for the sampler") as report:
        report(27760, 27761, note)
        report(27761, 27761, note)
    last = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "\n", screen.getvalue()).replace("\r", "\n").splitlines()
    shown = [line for line in last if line.strip()]
    assert all(len(line.rstrip()) <= width for line in shown)
    assert any(line.startswith("Scoring for the sampler") and "27761/27761" in line for line in shown)
    assert "…" not in screen.getvalue()
    assert note.replace(" ", "") in "".join(shown).replace(" ", "")
