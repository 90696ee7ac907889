# Tested in tests/serving/test_processes.py.
"""A process that has a bundle open, and copies of it, which share what none of them changes."""

import atexit
import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import numpy as np

from snnet.errors import EngineError, SNNetError
from snnet.serving.block import Block
from snnet.serving.workers import Images

START_SECONDS = 120.0
"""Time in which a process must be ready."""
END_SECONDS = 5.0
"""Time in which one that is told to end must have ended."""
_Stitches: TypeAlias = dict[str, Callable[[Images], Images]]
_Facts: TypeAlias = tuple[tuple[int, ...], str]


class Template:
    """A process that has the stitches of a bundle open, and of which workers are copies.

    A copy shares the memory that it does not change: Python, onnxruntime and the graphs of the stitches are there once,
    like the mapped weights, and a new worker takes milliseconds. onnxruntime's threads do not live on in a copy, so
    workers of more than one thread open the stitches themselves. It ends with the last of its workers that is closed.

    Args:
        bundle: Folder of the bundle.
        stitches: Ids of the stitches that workers keep ready.
        threads: Threads of one call.

    Raises:
        EngineError: If it does not start.
    """

    def __init__(self, bundle: Path, stitches: Sequence[str], threads: int = 1) -> None:
        self._given = (str(bundle), tuple(stitches), threads)
        self._lock, self._users = Lock(), 0
        self._start()
        atexit.register(self.close)

    @property
    def pid(self) -> int:
        """Number of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def copy(self, images: _Facts, logits: _Facts, cores: Sequence[int]) -> "tuple[Connection[Any, Any], int]":
        """Start a worker; return the pipe to it and its number.

        Args:
            images: Shape and name of the memory in which it finds images.
            logits: The same for what it answers.
            cores: Numbers of the cores that it may use; any if empty.

        Raises:
            EngineError: If this process has died and cannot be replaced.
        """
        with self._lock:
            try:
                return self._copy(images, logits, tuple(cores))
            except (OSError, EOFError):
                self._end()
                self._start()
                return self._copy(images, logits, tuple(cores))

    def ended(self, pid: int, seconds: float) -> int | None:
        """Return the exit code of a worker that ends within some seconds, else None."""
        with self._lock, suppress(OSError, EOFError):
            self._control.send((pid, seconds))
            code: int | None = self._control.recv()
            return code
        return None

    def hold(self) -> None:
        """Count one worker more."""
        self._users += 1

    def let_go(self) -> None:
        """Count one worker less, and end with the last."""
        self._users -= 1
        if not self._users:
            self.close()

    def close(self) -> None:
        """End the process; workers that live go on."""
        atexit.unregister(self.close)
        with self._lock:
            self._end()

    def _copy(self, *facts: Any) -> "tuple[Connection[Any, Any], int]":
        ours, theirs = multiprocessing.Pipe()
        try:
            self._control.send(facts)
            send_handle(self._control, theirs.fileno(), self.pid)
            return ours, self._control.recv()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._control, theirs = context.Pipe()
        self._process = context.Process(
            target=_template, args=(theirs, *self._given), name="snnet-workers", daemon=True
        )
        self._process.start()
        theirs.close()
        fault: str | None = f"it was not ready within {START_SECONDS:g} s."
        if self._control.poll(START_SECONDS):
            try:
                fault = self._control.recv()
            except (EOFError, OSError):
                self._process.join(1)
                fault = f"it ended (exit code {self._process.exitcode})."
        if fault is not None:
            self._end()
            raise EngineError(f"A worker did not start: {fault}")

    def _end(self) -> None:
        self._control.close()
        self._process.join(END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _template(control: "Connection[Any, Any]", bundle: str, stitches: Sequence[str], threads: int) -> None:
    """Make copies of this process, and tell how they ended, until the other side is gone."""
    # The server decides when to end; Ctrl-C reaches all processes of a terminal, and SIGTERM those of a service.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    open_all = partial(_opened, bundle, stitches, threads)
    try:
        ready = open_all() if threads == 1 else None
    except (SNNetError, OSError) as error:
        control.send(f"{type(error).__name__}: {error}")
        return
    # Pages that a collection writes to would no longer be shared.
    gc.collect()
    gc.freeze()
    control.send(None)
    while (message := _received(control)) is not None:
        if len(message) == 2:
            control.send(_exit_code(*message))
            continue
        handle = recv_handle(control)
        pid = os.fork()
        if pid == 0:
            control.close()
            _work(Connection(handle), ready if ready is not None else open_all, *message)
            os._exit(0)
        os.close(handle)
        control.send(pid)


def _exit_code(pid: int, seconds: float) -> int | None:
    end = time.monotonic() + seconds
    while True:
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # it was told before, or a template before this one made it
            return None
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def _work(
    pipe: "Connection[Any, Any]",
    stitches: "_Stitches | Callable[[], _Stitches]",
    images: _Facts,
    logits: _Facts,
    cores: Sequence[int],
) -> None:
    """Answer batches until the other side is gone."""
    try:
        if cores:
            os.sched_setaffinity(0, cores)
        given, found = Block(*images), Block(*logits)
        ready = stitches() if callable(stitches) else stitches
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


def _received(pipe: "Connection[Any, Any]") -> Any:
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None


def _opened(bundle: str, stitches: Sequence[str], threads: int) -> _Stitches:
    """Return functions from images to logits, by stitch, that have run once."""
    from snnet.export.bundle import Bundle

    opened = Bundle.open(bundle, verify=False)
    found: _Stitches = {stitch: partial(_run_session, opened.session(stitch, threads=threads)) for stitch in stitches}
    for answer in found.values():
        answer(np.zeros((1, *opened.input.size), np.float32))
    return found


def _run_session(session: Any, images: Images) -> Images:
    logits: Images = session.run(None, {session.get_inputs()[0].name: images})[0]
    return logits
