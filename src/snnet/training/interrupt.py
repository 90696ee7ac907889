"""Ctrl-C and SIGTERM as a request to stop after the current step."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Self

from snnet.errors import ProcessLostError
from snnet.utils import outlive_the_launcher

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingInterrupted(KeyboardInterrupt):
    """Training was asked to stop and has saved what it had.

    Attributes:
        step: Steps done.
        checkpoint: The file to resume from; None if the run keeps no checkpoints.
        signal: The signal that asked; the customary exit code is 128 plus its number.
    """

    def __init__(self, step: int, checkpoint: Path | None, signal: int) -> None:
        self.step = step
        self.checkpoint = checkpoint
        self.signal = signal
        kept = f"resume from {checkpoint}" if checkpoint else "nothing was saved, for the run has no directory"
        super().__init__(f"Training stopped after step {step}; {kept}.")


class StopRequest:
    """While entered, the first SIGINT or SIGTERM only sets `signal`; a second one acts as it always does.

    Outside the main thread Python allows no handlers, and signals keep their meaning.

    Args:
        repeats: Whether the second one means no more than the first: a launcher hands on the Ctrl-C that its
            processes have already got from the terminal.
    """

    def __init__(self, *, repeats: bool = False) -> None:
        self.signal: int | None = None
        self._repeats = repeats
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._restore()
        if isinstance(error, ProcessLostError):
            outlive_the_launcher()

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.signal = number
        if not self._repeats:
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            # None stands for a handler that was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}
