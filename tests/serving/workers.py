"""Workers that tests can see into."""

import threading
import time
from collections.abc import Iterable

import numpy as np

from snnet.errors import EngineError, WorkerLostError
from snnet.serving import Option, Options
from snnet.serving.workers import Images, Worker


def images(count: int, value: float = 0.0) -> Images:
    return np.full((count, 1, 2, 2), value, np.float32)


def options(seconds: float = 0.002, batches: Iterable[int] = (1, 4, 8)) -> Options:
    """A quick stitch, and one of three times its latency that answers better."""
    made = [
        Option(stitch, batch, times * seconds * (1 + 0.1 * batch), score)
        for stitch, times, score in (("0:0-2", 1, 80.0), ("1:0-4", 3, 90.0))
        for batch in batches
    ]
    return Options(made)


class FakeWorker(Worker):
    """Answers with each image's mean, after a while; dies or fails when told."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.ran, self.restarted, self.closed = seconds, list[tuple[str, int]](), 0, False
        self.deaths = self.faults = 0
        self.began = True
        self.gate = threading.Event()
        self.gate.set()

    def run(self, stitch: str, images: Images) -> Images:
        self.gate.wait(10)
        time.sleep(self.seconds)
        if self.deaths:
            self.deaths -= 1
            raise WorkerLostError("Worker process 7 ended (exit code -9).", self.began)
        if self.faults:
            self.faults -= 1
            raise EngineError("no memory")
        self.loaded = stitch
        self.ran.append((stitch, len(images)))
        return images.mean(axis=(2, 3)).repeat(3, axis=1)

    def restart(self) -> None:
        self.restarted += 1

    def close(self) -> None:
        self.closed = True
