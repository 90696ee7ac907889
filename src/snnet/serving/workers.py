"""What runs batches: threads that share one runtime, or processes that map one file of weights."""

import atexit
import multiprocessing
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snnet.errors import EngineError, SNNetError, WorkerLostError
from snnet.serving.block import Block

if TYPE_CHECKING:
    from snnet.runtime import Runtime

Images: TypeAlias = NDArray[np.float32]
"""Images `(N, C, H, W)`, normalized, or logits `(N, classes)`."""
_START_SECONDS = 120.0


class Worker(ABC):
    """Runs one batch at a time; it is called from one thread at a time.

    Attributes:
        loaded: Stitch that it ran last.
    """

    loaded: str = ""

    @abstractmethod
    def run(self, stitch: str, images: Images) -> Images:
        """Return the logits `(N, classes)` of images.

        Args:
            stitch: Id of the stitch that answers.
            images: `(N, C, H, W)`, normalized.

        Raises:
            WorkerLostError: If what runs them has died.
            EngineError: If they cannot be run.
        """

    def restart(self) -> None:  # noqa: B027
        """Take the place of what has died."""

    def interrupt(self) -> None:  # noqa: B027
        """Give up what runs, which hangs: who waits for it is told that the worker is lost. Any thread may call it."""

    def close(self) -> None:  # noqa: B027
        """Run no more."""


class ThreadWorker(Worker):
    """Runs batches in this process.

    Args:
        runtime: With all stitches ready; others may share it.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    def run(self, stitch: str, images: Images) -> Images:
        """Return the logits of images."""
        self.loaded = stitch
        return self._runtime.run(images, stitch=stitch, wait=True).logits


class ProcessWorker(Worker):
    """Runs batches of a bundle in a process of its own, which maps the bundle's one file of weights.

    Args:
        bundle: Folder of the bundle.
        stitches: Ids of the stitches that it keeps ready.
        sizes: Shape of one image `(C, H, W)`, number of classes, and images at once at most.
        threads: Threads of one call.
        cores: Numbers of the cores that it may use; any if empty.

    Raises:
        EngineError: If it does not start.
    """

    def __init__(
        self,
        bundle: Path,
        stitches: Sequence[str],
        sizes: tuple[tuple[int, int, int], int, int],
        *,
        threads: int = 1,
        cores: Sequence[int] = (),
    ) -> None:
        size, classes, largest = sizes
        self._images = Block((largest, *size))
        self._logits = Block((largest, classes))
        self._given = (str(bundle), tuple(stitches), self._images.facts, self._logits.facts, threads, tuple(cores))
        self._largest = largest
        try:
            self.restart()
        except EngineError:
            self._release()
            raise
        atexit.register(self.close)

    @property
    def pid(self) -> int:
        """Number of its process."""
        assert self._process.pid is not None
        return self._process.pid

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
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, *self._given), name="snnet-worker", daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(_START_SECONDS):
            self._process.kill()
            self._process.join()
            raise EngineError(f"A worker was not ready within {_START_SECONDS:g} s.")
        if (fault := self._answer()) is not None:
            raise EngineError(f"A worker did not start: {fault}")

    def interrupt(self) -> None:
        """Kill the process."""
        self._process.kill()

    def close(self) -> None:
        """End the process."""
        atexit.unregister(self.close)
        with suppress(OSError):
            self._pipe.send(None)
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._release()

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
        self._process.join(1)
        return WorkerLostError(f"Worker process {self._process.pid} ended (exit code {self._process.exitcode}).", began)


def _work(
    pipe: "Connection[Any, Any]",
    bundle: str,
    stitches: Sequence[str],
    images: tuple[tuple[int, ...], str],
    logits: tuple[tuple[int, ...], str],
    threads: int,
    cores: Sequence[int],
) -> None:
    """Answer batches until the other side is gone."""
    import signal

    # The server decides when to end; Ctrl-C reaches all processes of a terminal, and SIGTERM those of a service.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        if cores:
            os.sched_setaffinity(0, cores)
        given, found = Block(*images), Block(*logits)
        ready = _opened(bundle, stitches, threads, given.array[:1])
    except (SNNetError, OSError) as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send(None)
    while (message := _received(pipe)) is not None:
        stitch, count = message
        try:
            found.array[:count] = ready[stitch](given.array[:count])
            fault = None
        except Exception as error:  # onnxruntime's errors have no common kind; whoever asked is told
            fault = f"{type(error).__name__}: {error}"
        with suppress(OSError):
            pipe.send(fault)


def _received(pipe: "Connection[Any, Any]") -> tuple[str, int] | None:
    try:
        message: tuple[str, int] | None = pipe.recv()
    except (EOFError, OSError):
        return None
    return message


def _opened(bundle: str, stitches: Sequence[str], threads: int, like: Images) -> dict[str, Callable[[Images], Images]]:
    """Return functions from images to logits, by stitch, that have run once."""
    from snnet.export.bundle import Bundle

    opened = Bundle.open(bundle, verify=False)
    sessions = {stitch: opened.session(stitch, threads=threads) for stitch in stitches}
    found: dict[str, Callable[[Images], Images]] = {
        stitch: partial(_run_session, session) for stitch, session in sessions.items()
    }
    for answer in found.values():
        answer(np.zeros_like(like))
    return found


def _run_session(session: Any, images: Images) -> Images:
    logits: Images = session.run(None, {session.get_inputs()[0].name: images})[0]
    return logits
