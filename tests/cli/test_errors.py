import errno
import signal

import pytest
from cyclopts import CycloptsError

from snnet.cli.errors import ExitCode, describe, exit_code, guarded
from snnet.errors import AnchorError, BudgetError, CheckpointError, SNNetError, TrainingError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AnchorError("x"), ExitCode.BAD_INPUT),
        (CheckpointError("x"), ExitCode.BAD_INPUT),
        (FileNotFoundError("x"), ExitCode.BAD_INPUT),
        (CycloptsError(msg="x"), ExitCode.BAD_INPUT),
        (BudgetError("x"), ExitCode.NOTHING_FITS),
        (TrainingError("x"), ExitCode.FAILED),
        (RuntimeError("x"), ExitCode.FAILED),
    ],
)
def test_exit_codes(error: Exception, code: ExitCode) -> None:
    assert exit_code(error) == code


def test_a_full_disk_is_no_bad_input() -> None:
    try:
        raise CheckpointError("could not be written") from OSError(errno.ENOSPC, "No space left on device")
    except CheckpointError as error:
        assert exit_code(error) == ExitCode.FAILED


def test_an_error_that_is_its_own_cause_has_an_exit_code() -> None:
    error = CheckpointError("could not be read")
    error.__cause__ = error
    assert exit_code(error) == ExitCode.BAD_INPUT


def test_interrupts_end_with_128_plus_the_signal() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    def terminate() -> None:
        error = KeyboardInterrupt()
        error.signal = signal.SIGTERM  # type: ignore[attr-defined]
        raise error

    assert guarded(stop, debug=False) == 130
    assert guarded(terminate, debug=False) == 143


def test_faults_of_ours_are_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ZeroDivisionError("division by zero")

    assert guarded(fail, debug=False) == 1
    text = capsys.readouterr().err
    assert "a fault in snnet" in text and "--debug" in text and "Traceback" not in text


def test_messages_are_printed_as_they_are() -> None:
    assert describe(SNNetError("give [1, 2] and /path")) == "give [1, 2] and /path"
    assert describe(OSError(errno.ENOSPC, "No space left", "file")) == "No space left: file"
