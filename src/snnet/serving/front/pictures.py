"""Pictures that callers send: looked at before they are decoded, and decoded beside the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from snnet.data import CorruptImageError, decoding, upright_size
from snnet.serving.front.asking import Answering, RefusedError
from snnet.serving.front.faults import InvalidError, TooLargeError
from snnet.serving.front.settings import FrontSettings

R = TypeVar("R")
_FORMATS = ("JPEG", "PNG")
# Each scan of a JPEG goes over all of its pixels, and may be a few bytes.
_SCAN, _SCANS = b"\xff\xda", 100


class Decoder:
    """Turns files of pictures into what a service takes, in threads of its own.

    Args:
        service: What the pictures are for.
        settings: How many at once, how many wait, and how large they may be.
    """

    def __init__(self, service: Answering, settings: FrontSettings) -> None:
        self._service, self._settings = service, settings
        self._threads = ThreadPoolExecutor(settings.decoding_threads, thread_name_prefix="snnet-decoding")
        self._under_way = 0

    async def pixels(self, data: bytes | bytearray) -> tuple[NDArray[np.float32], tuple[int, int]]:
        """Return the normalized pixels `(C, H, W)` of a picture, and its own height and width.

        Args:
            data: A file of JPEG or PNG.

        Raises:
            RefusedError: If too many pictures wait.
            TooLargeError: If it has too many pixels.
            InvalidError: If it is no such file, or a damaged one.
        """
        if self._under_way >= self._settings.decoding_threads + self._settings.decoding_waiting:
            raise RefusedError(f"{self._under_way} pictures are being decoded or wait for that; come back later.")
        self._under_way += 1
        try:
            work = partial(pixels_of, data, self._service, self._settings.picture_pixels)
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1

    async def beside(self, work: Callable[[], R]) -> R:
        """Return what some `work` on a picture returns, done by the same threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def pixels_of(data: bytes | bytearray, service: Answering, most: int) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Return the normalized pixels `(C, H, W)` of a picture, and its own height and width, upright.

    Args:
        data: A file of JPEG or PNG.
        service: What makes pixels of a picture.
        most: Pixels that it may have, as it is and once its shorter side is resized to what the service takes.

    Raises:
        TooLargeError: If it has more; it is not decoded then.
        InvalidError: If it is no such file, or a damaged one.
    """
    try:
        with decoding("The picture"):
            picture = Image.open(BytesIO(data), formats=_FORMATS)
        if picture.format != "PNG" and data.count(_SCAN) > _SCANS:
            raise InvalidError(f"The picture is JPEG in more than {_SCANS} scans; save it anew with fewer.")
        _check_size(picture.size, service.size, most)
        with decoding("The picture"):
            picture.load()
            return service.transform(picture), upright_size(picture)
    except CorruptImageError as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            raise TooLargeError(f"The picture is too large ({error.__cause__}); {_taken(most)}") from None
        # Pillow's words for what it does not know are about an object of ours.
        why = "" if isinstance(error.__cause__, UnidentifiedImageError) else f" ({error.__cause__})"
        raise InvalidError(f"The picture is not JPEG or PNG, or a damaged one{why}; send a file of one.") from error


def _check_size(size: tuple[int, int], taken: tuple[int, int, int], most: int) -> None:
    width, height = size
    short, long = sorted(size)
    if width * height > most:
        raise TooLargeError(f"The picture has {width} x {height} pixels; {_taken(most)}")
    if short and long / short * taken[1] * taken[2] > most:
        raise TooLargeError(f"The picture has {width} x {height} pixels; give one that is less long and narrow.")


def _taken(most: int) -> str:
    return f"accepted are {most:,} at most. Give a smaller one."
