# Tested in tests/serving/front/test_app.py.
"""What the front asks of a service, what comes back, and how it fails: all that the two know of each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snnet.errors import SNNetError
from snnet.space import OutputSpec


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants.

    Attributes:
        images: `(N, C, H, W)`, normalized, one at least.
        id: The caller's own name of the request.
        deadline_ms: Milliseconds from now in which the answer is worth something; those of the service if None.
        stitch: Id of the one stitch that may answer; empty for any.
        limits: What the stitch that answers may cost at most, as (column, value).
        priority: A higher one goes first, where both cannot.
    """

    images: NDArray[np.float32]
    id: str = ""
    deadline_ms: float | None = None
    stitch: str = ""
    limits: tuple[tuple[str, float], ...] = ()
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """What a service answers.

    Attributes:
        logits: `(N, classes)`, or `(N, outputs, H, W)` of a network with outputs for each pixel.
        stitch: Id of the stitch that computed them.
        score: What the table says how good that stitch is.
        batch: How many images ran together.
        queue_ms: Milliseconds that the request waited.
        compute_ms: Milliseconds that its batch ran.
        version: Of the model, where it is not that of the service any more.
    """

    logits: NDArray[np.float32]
    stitch: str
    score: float
    batch: int
    queue_ms: float
    compute_ms: float
    version: str = ""


class RefusedError(SNNetError):
    """Nothing can answer in time, the queue is full, or the service is about to end.

    Args:
        message: Why, and what to do.
        retry_after: Seconds after which it is worth to ask again.
    """

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ExpiredError(SNNetError):
    """The deadline of a request passed while it waited."""


class FailedError(SNNetError):
    """What should have computed the answer failed."""


class Answering(Protocol):
    """A service, as far as the front needs one."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def version(self) -> str:
        """Which version of it."""
        ...

    @property
    def size(self) -> tuple[int, int, int]:
        """`(C, H, W)` of the images that it takes."""
        ...

    @property
    def classes(self) -> Sequence[str] | None:
        """Names of the classes; None if it knows none."""
        ...

    @property
    def class_count(self) -> int:
        """How many classes there are."""
        ...

    @property
    def output(self) -> OutputSpec:
        """What the logits mean."""
        ...

    @property
    def largest(self) -> int:
        """Images of one request, at most."""
        ...

    @property
    def ready(self) -> bool:
        """Whether it takes requests; False while it starts, and once it drains."""
        ...

    def transform(self, picture: Image.Image) -> NDArray[np.float32]:
        """Return the normalized pixels `(C, H, W)` of a `picture`."""
        ...

    async def ask(self, asked: Asked) -> Answered:
        """Return the answer to what is `asked`.

        Raises:
            RefusedError: If nothing can answer in time, the queue is full, or the service drains.
            ExpiredError: If the deadline passed while the request waited.
            FailedError: If what should have computed the answer failed.
            BudgetError: If there is no such stitch, or none that keeps the limits.
            DataError: If the images are none that it takes.
        """
        ...
