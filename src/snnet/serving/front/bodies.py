# Tested in tests/serving/front/test_app.py.
"""Bodies of requests, read no further than they may be long."""

import asyncio
from collections.abc import AsyncIterator
from reprlib import repr as shown

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from snnet.serving.front.asking import RefusedError
from snnet.serving.front.faults import InvalidError, LeftError, TooLargeError, TooSlowError
from snnet.serving.front.settings import FrontSettings


class Bodies:
    """Reads bodies, each no longer than it may be, and together no more than fits into memory.

    Args:
        settings: How much that is, and how long a body may take.
    """

    def __init__(self, settings: FrontSettings) -> None:
        self._together, self._seconds = settings.bodies_bytes, settings.body_seconds
        self._arriving = 0

    async def read(self, request: Request, most: int) -> bytearray:
        """Return the body of a request.

        Args:
            request: Whose.
            most: Bytes that it may have; what is longer is read no further.

        Raises:
            TooLargeError: If it is longer.
            TooSlowError: If it does not arrive in time.
            RefusedError: If too much arrives at the same time.
            InvalidError: If it is compressed.
            LeftError: If its caller goes away.
        """
        if request.headers.get("content-encoding", "identity") != "identity":
            raise InvalidError("The request is compressed; send it as it is, without Content-Encoding.")
        told = request.headers.get("content-length", "")
        if told.isdecimal() and (len(told) > 18 or int(told) > most):
            raise _too_large(most)
        body = bytearray()  # a list of its parts would take much more, were they a byte each
        try:
            async with asyncio.timeout(self._seconds):
                async for part in request.stream():
                    self._arriving += len(part)
                    body += part
                    if len(body) > most:
                        raise _too_large(most)
                    if self._arriving > self._together:
                        raise RefusedError(f"{self._arriving:,} bytes of requests arrive at once; come back later.")
        except TimeoutError:
            raise TooSlowError(
                f"The request did not arrive within {self._seconds:g} s; send less, or faster."
            ) from None
        except ClientDisconnect:
            raise LeftError("The caller went away before the request had arrived.") from None
        finally:
            self._arriving -= len(body)
        return body


async def picture_of(headers: Headers, body: bytearray) -> bytes | bytearray:
    """Return the file of a picture that a request carries: its body, or the field `image` of a form.

    Args:
        headers: Of the request.
        body: Of the request.

    Raises:
        InvalidError: If a form is malformed, or has anything but such a field.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        return body

    async def stream() -> AsyncIterator[bytes]:
        yield bytes(body)

    # The body is in memory already; a file of it on disk would only cost time.
    parser = MultiPartParser(headers, stream(), max_files=1, max_fields=8)  # type: ignore[arg-type]
    parser.spool_max_size = len(body) + 1
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidError(f"The form of the request is malformed: {error.message}") from error
    fields = form.multi_items()
    if [name for name, _ in fields] == ["image"] and isinstance(image := fields[0][1], UploadFile):
        return await image.read()
    raise InvalidError(
        f"The form of the request has fields {shown([name for name, _ in fields])}; give one, the picture as a file in "
        "'image'. All else belongs into the query."
    )


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"The request is longer than {most:,} bytes, which is the most that is taken; send less.")
