# Tested in tests/serving/front/test_protocol.py.
"""What a caller may ask for beside the images: named parameters, of whatever protocol."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from snnet.errors import SNNetError
from snnet.serving.front.asking import Asked
from snnet.serving.front.faults import InvalidError
from snnet.utils import Settings, checked_settings, parse_amount

_A_DAY_MS = 86_400_000.0
_LIMITS = ("macs", "params", "latency_ms")
Amount = Annotated[
    float, Field(gt=0), BeforeValidator(lambda value: parse_amount(value) if isinstance(value, str) else value)
]


class Wishes(Settings):
    """Parameters of a request."""

    refused_with: ClassVar[type[SNNetError]] = InvalidError

    deadline_ms: float | None = Field(
        None, gt=0, le=_A_DAY_MS, description="milliseconds from now in which the answer is worth something"
    )
    stitch: str = Field("", max_length=10_000, description="id of the one stitch that may answer")
    macs: Amount | None = Field(None, description="multiply-adds for an image, at most")
    params: Amount | None = Field(None, description="parameters of the stitch that answers, at most")
    latency_ms: float | None = Field(None, gt=0, description="milliseconds that the stitch takes, at most")
    priority: int = Field(0, ge=-1000, le=1000, description="of two requests that wait the higher one goes first")

    def asked(self, images: NDArray[np.float32], id: str = "") -> Asked:
        """Return these wishes with `images` `(N, C, H, W)`, and the caller's `id` of the request."""
        limits = tuple((name, float(value)) for name in _LIMITS if (value := getattr(self, name)) is not None)
        return Asked(images, id, self.deadline_ms, self.stitch, limits, self.priority)


class PictureWishes(Wishes):
    """Parameters of a request with a picture."""

    top: int = Field(5, ge=1, description="how many classes the answer names, at most")


NO_WISHES = Wishes()


def read_wishes(given: Mapping[str, Any]) -> Wishes:
    """Return the parameters of a request.

    Args:
        given: Name -> value, as JSON or a call has them; text stands for a number too.

    Raises:
        InvalidError: With all unknown names and wrong values at once.
    """
    return checked_settings(Wishes, given, "The request") if given else NO_WISHES
