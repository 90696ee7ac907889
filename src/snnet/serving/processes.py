"""Workers that are processes: copies of one that has the bundle open."""

import atexit
import os
import signal
from collections.abc import Sequence
from contextlib import suppress

from snnet.errors import EngineError, WorkerLostError
from snnet.serving.block import Block
from snnet.serving.template import END_SECONDS, START_SECONDS, Template
from snnet.serving.workers import Images, Worker


class ProcessWorker(Worker):
    """Runs batches of a bundle in a process of its own, which maps the bundle's one file of weights.

    Args:
        template: What it is a copy of.
        sizes: Shape of one image `(C, H, W)`, shape of its logits, and images at once at most.
        cores: Numbers of the cores that it may use; any if empty.

    Raises:
        EngineError: If it does not start.
    """

    def __init__(
        self, template: Template, sizes: tuple[tuple[int, ...], tuple[int, ...], int], *, cores: Sequence[int] = ()
    ) -> None:
        size, logits, self._largest = sizes
        self._template, self._cores = template, tuple(cores)
        self._images = Block((self._largest, *size))
        self._logits = Block((self._largest, *logits))
        try:
            self.restart()
        except EngineError:
            self._release()
            raise
        template.hold()
        atexit.register(self.close)

    def run(self, stitch: str, images: Images) -> Images:
        """Return the logits of images."""
        count = len(images)
        if count > self._largest:
            raise EngineError(f"The batch has {count} images; accepted: up to {self._largest}.")
        self.loaded = stitch
        self._images.array[:count] = images
        try:
            self._pipe.send((stitch, count))
        except OSError:
            raise self._lost(began=False) from None
        if (fault := self._answer()) is not None:
            raise EngineError(fault)
        return self._logits.array[:count].copy()

    def restart(self) -> None:
        """Start the process."""
        self._pipe, self.pid = self._template.copy(self._images.facts, self._logits.facts, self._cores)
        if not self._pipe.poll(START_SECONDS):
            self._kill()
            raise EngineError(f"A worker was not ready within {START_SECONDS:g} s.")
        if (fault := self._answer()) is not None:
            raise EngineError(f"A worker did not start: {fault}")

    def close(self) -> None:
        """End the process."""
        atexit.unregister(self.close)
        with suppress(OSError):
            self._pipe.send(None)
        if self._template.ended(self.pid, END_SECONDS) is None:
            self._kill()
        self._pipe.close()
        self._release()
        self._template.let_go()

    def interrupt(self) -> None:
        """Kill the process."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def _kill(self) -> None:
        self.interrupt()
        self._template.ended(self.pid, END_SECONDS)

    def _release(self) -> None:
        self._images.release()
        self._logits.release()

    def _answer(self) -> str | None:
        try:
            answer: str | None = self._pipe.recv()
        except (EOFError, OSError):
            raise self._lost() from None
        return answer

    def _lost(self, began: bool = True) -> WorkerLostError:
        self._pipe.close()
        return WorkerLostError(
            f"Worker process {self.pid} ended (exit code {self._template.ended(self.pid, 1)}).", began
        )
