import pytest

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
