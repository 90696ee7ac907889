# Tested in tests/runtime/test_runtime.py.
"""What a runtime tells of itself: answers, switches, counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray
from torch import Tensor

from snnet.space import Stitch

Images = TypeVar("Images", Tensor, NDArray[Any])
"""A batch, as a tensor or as an array of numpy."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[Images]):
    """The logits of a batch and who computed them.

    Attributes:
        logits: `(B, classes)`, a tensor or an array as the images were.
        stitch: The stitch that ran.
        wanted: The stitch that the limits asked for; another than `stitch` while that one is not ready.
    """

    logits: Images
    stitch: Stitch
    wanted: Stitch


@dataclass(frozen=True, slots=True)
class Switch:
    """Another stitch than the last time was chosen.

    Attributes:
        before: The stitch that was chosen before; None at the first call.
        after: The stitch that is chosen now.
        wanted: The stitch that the limits asked for.
        limits: What the choice had to keep.
        seconds: When, on the clock of `time.monotonic`.
    """

    before: Stitch | None
    after: Stitch
    wanted: Stitch
    limits: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Counters:
    """What happened since a runtime began, at one moment.

    Attributes:
        calls: Batches answered, under way included.
        substituted: Of these, how many were answered by another stitch than the one wanted.
        switches: How often the chosen stitch changed.
        built: Stitches made ready.
        evicted: Stitches that had to make room.
        failed: Stitches that the engine could not make ready.
        building: Stitches that wait to be made ready, the one in work included.
        nbytes: Memory of the ready stitches beyond shared weights.
        ready: The ready stitches.
        answers: Stitch -> batches that it answered.
    """

    calls: int = 0
    substituted: int = 0
    switches: int = 0
    built: int = 0
    evicted: int = 0
    failed: int = 0
    building: int = 0
    nbytes: int = 0
    ready: tuple[Stitch, ...] = ()
    answers: Mapping[Stitch, int] = field(default_factory=dict)
