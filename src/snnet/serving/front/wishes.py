# Tested in tests/serving/front/test_protocol.py.
"""What a caller may ask for beside the images: named parameters, of whatever protocol."""

from collections.abc import Mapping
from reprlib import repr as shown
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from snnet.errors import SNNetError
from snnet.serving.front.asking import Asked
from snnet.serving.front.faults import InvalidError
from snnet.utils import Settings, checked_settings, parse_amount

_MOST, _LONGEST = 32, 1000
_A_DAY_MS = 86_400_000.0
_LIMITS = ("macs", "params", "latency_ms")
Amount = Annotated[
    float, Field(gt=0), BeforeValidator(lambda value: parse_amount(value) if isinstance(value, str) else value)
]
W = TypeVar("W", bound="Wishes")


class Wishes(Settings):
    """Parameters of a request."""

    refused_with: ClassVar[type[SNNetError]] = InvalidError

    deadline_ms: float | None = Field(
        None, gt=0, le=_A_DAY_MS, description="milliseconds from now in which the answer is worth something"
    )
    stitch: str = Field("", description="id of the one stitch that may answer")
    macs: Amount | None = Field(None, description="multiply-adds for an image, at most")
    params: Amount | None = Field(None, description="parameters of the stitch that answers, at most")
    latency_ms: float | None = Field(None, gt=0, description="milliseconds that the stitch takes, at most")
    priority: int = Field(0, ge=-1000, le=1000, description="of two requests that wait the higher one goes first")

    def asked(self, images: NDArray[np.float32], id: str = "") -> Asked:
        """Return these wishes with `images` `(N, C, H, W)`, and the caller's `id` of the request.

        Raises:
            InvalidError: If the id is too long.
        """
        if len(id) > _LONGEST:
            raise InvalidError(f"The id of the request has {len(id):,} characters; accepted are {_LONGEST:,}.")
        limits = tuple((name, float(value)) for name in _LIMITS if (value := getattr(self, name)) is not None)
        return Asked(images, id, self.deadline_ms, self.stitch, limits, self.priority)


class PictureWishes(Wishes):
    """Parameters of a request with a picture."""

    top: int = Field(5, ge=1, description="how many classes the answer names, at most")


class MaskWishes(Wishes):
    """Parameters of a request for a mask."""

    format: Literal["png", "json"] = Field("png", description="a PNG, or JSON that holds it and what it shows")


def read_wishes(given: Mapping[str, Any], kind: type[W]) -> W:
    """Return the parameters of a request.

    Args:
        given: Name -> value, as JSON, a call or a query has them; text stands for a number too.
        kind: Which parameters there are.

    Raises:
        InvalidError: With all unknown names and wrong values at once.
    """
    # To look for what each of very many might mean would take long.
    if len(given) > _MOST:
        raise InvalidError(f"The request has {len(given):,} parameters; known are {', '.join(kind.model_fields)}.")
    for text in (*given, *given.values()):
        if isinstance(text, str) and len(text) > _LONGEST:
            raise InvalidError(
                f"The request has parameters with {shown(text)} of {len(text):,} characters; accepted are {_LONGEST:,}."
            )
    return checked_settings(kind, given, "The request")
