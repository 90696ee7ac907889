"""From what went wrong to an exit code and a few words on stderr."""

import errno
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from enum import IntEnum

from cyclopts import CycloptsError
from pydantic import BaseModel, ValidationError

from snnet.cli.console import deafen, say
from snnet.errors import BudgetError, ProcessLostError, SNNetError, TrainingError
from snnet.utils import last_words, setting_faults, started_share

FAMILY_MODULES = "snnet_family_"
"""How the names of modules begin that are files of `--family-file`."""


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
_OF_THE_MACHINE = {
    r"/dev/shm|shared memory|unable to (allocate|mmap|open) .*shm|killed by signal: Bus error": "There is no room left "
    "in /dev/shm, by which processes that read images hand them over: read without any, --data.workers 0, or make it "
    "larger (docker run --shm-size 8g)",
    r"^MemoryError|OutOfMemoryError|out of memory|can't allocate memory|not enough memory|bad_?alloc|"
    r"cannot allocate memory|failed to map segment|can't start new thread|killed by signal: Killed": "The memory is "
    "used up: take smaller batches, fewer processes that read images (--data.workers 0), or a machine with more",
}
"""What the machine lacks, by the words of the many who say so."""
_BOTH = re.compile(r"\b[a-z_]+=(?:\[.*?\]|[^\s,;]+) \((--[^()]*)\)")
_PYTHON = re.compile(
    r"(?<![\w/.-])(?:(root|download|resample)=|(max_corrupt|num_classes|image_size|any_machine)\b=?)"
    r"(?:(?<==)True\b)?((?<==)[^\s,;:.]*)?"
)
"""Settings as Python has them; where a message names the flag beside it, only that is left."""


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
            deafen(sys.stdout)
            return ExitCode.OK
        except Exception as error:
            if debug:
                traceback.print_exc()
            _speak(f"error: {describe(error)}", "red", error)
            try:
                sys.stdout.flush()
            except OSError:
                # What could not be written is told; Python would fail at it once more, with a code of its own.
                deafen(sys.stdout)
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
    if family_place(error):
        return ExitCode.BAD_INPUT
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
        return in_shell_words(str(error))
    what = f"{type(error).__name__}: {error}"
    for pattern, meaning in _OF_THE_MACHINE.items():
        if re.search(pattern, what, re.IGNORECASE):
            return f"{meaning} ({what.partition(chr(10))[0]})"
    if isinstance(error, OSError):
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{place}"
    if place := family_place(error):
        return f"{what}, raised by --family-file {place}"
    if isinstance(error, ImportError):
        return f"{what}; a package that snnet needs is missing or broken, so install it again: pip install snnet"
    return f"{what} (a fault in snnet; `--debug` shows where)"


def in_shell_words(message: str) -> str:
    """Return a message with flags in place of Python's names of the same settings."""
    flagged = _BOTH.sub(r"\1", message)
    return _PYTHON.sub(lambda at: f"--{(at[1] or at[2]).replace('_', '-')} {at[3] or ''}".rstrip(), flagged)


def family_place(error: BaseException) -> str:
    """Return file and line of the innermost frame in a file of the user's own, or an empty string."""
    frames = [(frame.f_globals.get("__name__", ""), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [(sys.modules[name].__file__, line) for name, line in frames if name.startswith(FAMILY_MODULES)]
    return f"{own[-1][0]}, line {own[-1][1]}" if own else ""


def _disk_failed(error: BaseException | None) -> bool:
    seen: set[int] = set()
    # An error may be its own cause, by `raise error from error` in code of any author.
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
            return True
        error = error.__cause__ or error.__context__
    return False
