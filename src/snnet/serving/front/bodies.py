# Tested in tests/serving/front/test_app.py.
"""Bodies of requests, read no further than they may be long."""

import asyncio
from collections.abc import AsyncIterator

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from snnet.serving.front.faults import InvalidError, TooLargeError, TooSlowError


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """Return the body of a request.

    Args:
        request: Whose.
        most: Bytes that it may have; what is longer is read no further.
        seconds: Time in which it must arrive.

    Raises:
        TooLargeError: If it is longer.
        TooSlowError: If it does not arrive in time.
        InvalidError: If it is compressed.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise InvalidError("The request is compressed; send it as it is, without Content-Encoding.")
    told = request.headers.get("content-length", "")
    if told.isdecimal() and (len(told) > 18 or int(told) > most):
        raise _too_large(most)
    try:
        async with asyncio.timeout(seconds):
            chunks, length = [], 0
            async for chunk in request.stream():
                length += len(chunk)
                if length > most:
                    raise _too_large(most)
                chunks.append(chunk)
    except TimeoutError:
        raise TooSlowError(
            f"The request did not arrive within {seconds:g} s; send less, or over a faster line."
        ) from None
    except ClientDisconnect:
        raise InvalidError("The caller went away before the request had arrived.") from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def picture_of(headers: Headers, body: bytes) -> bytes:
    """Return the file of a picture that a request carries: its body, or the field `image` of a form.

    Args:
        headers: Of the request.
        body: Of the request.

    Raises:
        InvalidError: If a form is malformed, or has no such field.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        return body

    async def stream() -> AsyncIterator[bytes]:
        yield body

    # The body is in memory already; a file of it on disk would only cost time.
    parser = MultiPartParser(headers, stream(), max_files=1, max_fields=8)  # type: ignore[arg-type]
    parser.spool_max_size = len(body) + 1
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidError(f"The form of the request is malformed: {error.message}") from error
    image = form.get("image")
    if not isinstance(image, UploadFile):
        names = ", ".join(sorted(form)) or "nothing"
        raise InvalidError(
            f"The form of the request has {names[:100]}; give the picture as a file in the field 'image'."
        )
    return await image.read()


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"The request is longer than {most:,} bytes, which is the most that is taken; send less.")
