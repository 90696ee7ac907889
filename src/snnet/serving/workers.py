"""What runs batches: threads that share one runtime; processes are in `processes.py`."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from snnet.runtime import Runtime

Images: TypeAlias = NDArray[np.float32]
"""Images `(N, C, H, W)`, normalized, or logits `(N, classes)`."""


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
