import errno
import signal
import sys
from types import ModuleType

import pytest
from cyclopts import CycloptsError

from snnet.cli.errors import FAMILY_MODULES, ExitCode, describe, exit_code, guarded
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


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "The memory is used up"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"),
            "memory is used up",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory is used up"),
        (RuntimeError("can't start new thread"), "memory is used up"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory is used up"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "--data.workers 0"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that"), "/dev/shm"),
        (
            RuntimeError("unable to write to file </torch_7>: No space left on device in /dev/shm (28)"),
            "--data.workers 0",
        ),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "memory is used up"),
        (ImportError("libgomp.so.1: no such file"), "install it again"),
    ],
)
def test_what_the_machine_lacks_is_no_fault_of_ours(error: Exception, words: str) -> None:
    assert words in describe(error) and "fault in snnet" not in describe(error)
    assert exit_code(error) == ExitCode.FAILED


def test_an_error_in_a_family_file_is_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType(f"{FAMILY_MODULES}mine")
    module.__file__ = "mine.py"
    exec("def build():\n    return [][1]\n", vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(IndexError) as caught:
        module.build()
    assert describe(caught.value).endswith("raised by --family-file mine.py, line 2")
    assert exit_code(caught.value) == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("needs root=, the folder", "needs --root, the folder"),
        ("build all for one: image_size=224 (--image-size 224).", "build all for one: --image-size 224."),
        ("joined by stages=[(1, 0), (2, 1)] (--stages 1:0 2:1)", "joined by --stages 1:0 2:1"),
        ("take them with any_machine=True (--any-machine).", "take them with --any-machine."),
        ("more than max_corrupt=3: a.jpg", "more than --max-corrupt 3: a.jpg"),
        ("anchors with num_classes=5.", "anchors with --num-classes 5."),
        ("ask for download=True.", "ask for --download."),
        ("remove them, or raise max_corrupt.", "remove them, or raise --max-corrupt."),
        ("data.max_corrupt: should be 1, got 'x'", "data.max_corrupt: should be 1, got 'x'"),
        ("write --limit top1=80, or in /data/root=1", "write --limit top1=80, or in /data/root=1"),
    ],
)
def test_messages_have_flags_in_place_of_pythons_names(message: str, told: str) -> None:
    assert describe(SNNetError(message)) == told
