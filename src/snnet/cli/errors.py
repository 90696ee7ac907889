"""From what went wrong to an exit code and a few words on stderr."""

import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from enum import IntEnum

from cyclopts import CycloptsError
from pydantic import BaseModel, ValidationError

from snnet.cli.console import say
from snnet.errors import BudgetError, ProcessLostError, SNNetError, TrainingError
from snnet.utils import last_words, setting_faults, started_share


class ExitCode(IntEnum):
    """What the exit status of every command means."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    NOTHING_FITS = 3
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "the work failed (NaN loss, full disk, a fault in snnet)",
    ExitCode.BAD_INPUT: "wrong usage or bad input; the message says how to fix it",
    ExitCode.NOTHING_FITS: "no stitch fits the budget",
    ExitCode.INTERRUPTED: "interrupted (143 by SIGTERM); run again, and long commands go on where they stopped",
}

_SECONDS_FOR_THE_FIRST = 5.0


def guarded(run: Callable[[], object], *, debug: bool) -> int:
    """Call `run` and return the exit code; errors are said without a traceback unless `debug`."""
    with last_words():
        try:
            result = run()
        except KeyboardInterrupt as error:
            _speak(f"{error or 'Interrupted.'} Run the same command again to go on.", "yellow", error)
            return 128 + getattr(error, "signal", signal.SIGINT)
        except BrokenPipeError:
            # Whoever read our output, such as `head`, has enough; Python must not complain when it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.OK
        except Exception as error:
            if debug:
                traceback.print_exc()
            _speak(f"error: {describe(error)}", "red", error)
            return exit_code(error)
        return result if isinstance(result, int) else ExitCode.OK


def _speak(message: str, style: str, error: BaseException) -> None:
    """Say why this process ends; of several that end for one reason the first speaks.

    The launcher ends the others as soon as one has ended, so that they leave it the time to speak, and speak
    themselves only if they are still there afterwards: then the reason is theirs.
    """
    share = started_share()
    if share.count > 1 and not share.is_first:
        message = f"[process {share.rank}] {message}"
        if not isinstance(error, ProcessLostError):
            time.sleep(_SECONDS_FOR_THE_FIRST)
            if isinstance(error, KeyboardInterrupt):
                return
    say(message, style, all_processes=True)


def exit_code(error: Exception) -> ExitCode:
    """Return the exit code of an error."""
    if isinstance(error, BudgetError):
        return ExitCode.NOTHING_FITS
    if isinstance(error, TrainingError) or _disk_failed(error):
        return ExitCode.FAILED
    bad_input = (SNNetError, CycloptsError, FileNotFoundError, NotADirectoryError, PermissionError)
    return ExitCode.BAD_INPUT if isinstance(error, bad_input) else ExitCode.FAILED


def describe(error: Exception) -> str:
    """Return what the user should read."""
    if isinstance(error, CycloptsError):
        command = " ".join(["snnet", *(error.command_chain or ())])
        cause = error.__cause__
        faults = setting_faults(BaseModel, cause) if isinstance(cause, ValidationError) else [str(error).strip()]
        return f"{'; '.join(faults).removesuffix('.')}. See `{command} --help`."
    if isinstance(error, SNNetError):
        return str(error)
    if isinstance(error, OSError):
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{place}"
    return f"{type(error).__name__}: {error} (a fault in snnet; `--debug` shows where)"


def _disk_failed(error: BaseException | None) -> bool:
    seen: set[int] = set()
    # An error may be its own cause, by `raise error from error` in code of any author.
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
            return True
        error = error.__cause__ or error.__context__
    return False
