# Tested in tests/serving/front/test_app.py.
"""What can be wrong with a request, and how each protocol says so."""

from dataclasses import dataclass
from hmac import compare_digest

from snnet.errors import BudgetError, DataError, SNNetError, SpaceError
from snnet.serving.front.asking import ExpiredError, RefusedError


class InvalidError(SNNetError, ValueError):
    """A request that says something that nothing can be done with; the message says what is accepted."""


class UnknownModelError(InvalidError):
    """A request for a model or a version that is not served here."""


class DeniedError(InvalidError):
    """A request without the token that is asked for."""


class LeftError(SNNetError):
    """A caller that went away, which nothing can be told any more."""


class TooLargeError(InvalidError):
    """A request with more bytes or pixels than are taken."""


class TooSlowError(InvalidError):
    """A request that did not arrive in the time that it has for that."""


@dataclass(frozen=True, slots=True)
class Status:
    """How an error is counted and told.

    Attributes:
        outcome: What metrics count it as.
        http: Status code of HTTP.
        grpc: Name of the status code of gRPC.
    """

    outcome: str
    http: int
    grpc: str


_LONGEST = 2000  # characters of a message; gRPC refuses to send one of many more
_INVALID = Status("invalid", 400, "INVALID_ARGUMENT")
_FAILED = Status("failed", 500, "INTERNAL")
# The first that fits counts.
_STATUSES: tuple[tuple[type[Exception], Status], ...] = (
    (RefusedError, Status("refused", 503, "RESOURCE_EXHAUSTED")),
    (ExpiredError, Status("expired", 504, "DEADLINE_EXCEEDED")),
    (LeftError, Status("cancelled", 499, "CANCELLED")),
    (UnknownModelError, Status("invalid", 404, "NOT_FOUND")),
    (DeniedError, Status("invalid", 401, "UNAUTHENTICATED")),
    (TooLargeError, Status("invalid", 413, "INVALID_ARGUMENT")),
    (TooSlowError, Status("invalid", 408, "INVALID_ARGUMENT")),
    *((kind, _INVALID) for kind in (InvalidError, BudgetError, DataError, SpaceError)),
)


def status_of(error: BaseException) -> Status:
    """Return how an `error` is counted and told; what is not known is a failure of ours."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), _FAILED)


def message_of(error: BaseException) -> str:
    """Return what a caller is told of an `error`: nothing of what only its log should know."""
    if not isinstance(error, SNNetError):
        return "The service failed; its log says why."
    text = str(error)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def is_bearer(header: bytes, token: bytes) -> bool:
    """Tell, in a time that says nothing of how near it is, whether a header carries a token.

    Args:
        header: What the header `Authorization` says.
        token: Which is asked for.
    """
    scheme, _, given = header.partition(b" ")
    return compare_digest(given.strip(), token) and scheme.lower() == b"bearer"
