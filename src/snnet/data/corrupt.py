"""Images that do not decode: recognized, counted, and refused once there are too many."""

import io
import logging
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from snnet.errors import DataError
from snnet.utils import counted

_log = logging.getLogger(__name__)

# What Pillow's decoders raise on damaged files; which one depends on format and kind of damage.
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class CorruptImageError(DataError):
    """One image that does not decode; loaders skip it and go on."""


def decode(data: bytes | Path, name: str) -> Image.Image:
    """Return the image in `data`, or in the file that it names, fully decoded.

    Raises:
        CorruptImageError: If it does not decode.
        DataError: If the file cannot be read.
    """
    with decoding(name):
        image = Image.open(io.BytesIO(data if isinstance(data, bytes) else data.read_bytes()))
        image.load()
    image.filename = name  # for later messages; nothing is read from there any more
    return image


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged image into `CorruptImageError`.

    Raises:
        DataError: If the image cannot be read at all (missing, no permission): that is no damage to skip over.
    """
    try:
        yield
    except _DECODE_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{name} cannot be read: {error}; check the path and its permissions.") from error
        raise CorruptImageError(
            f"{name} does not decode ({error}); repair or remove it, or read through TrainBatches or eval_batches, "
            "which skip such images up to a limit."
        ) from error


class SkippedImages:
    """The distinct images of a data set that loaders skipped because they do not decode.

    Args:
        total: Number of images of the data set.
        limit: Most images that may be skipped; by default one in a hundred, and at least 10.

    Attributes:
        faults: Place in the data set -> reason.
    """

    def __init__(self, total: int, limit: int | None = None) -> None:
        self.total = total
        self.limit = max(10, total // 100) if limit is None else limit
        self.faults: dict[Any, str] = {}
        self._said = 0

    def __len__(self) -> int:
        return len(self.faults)

    @property
    def reasons(self) -> tuple[str, ...]:
        """One line per skipped image, by its place in the data set."""
        return tuple(reason for _, reason in sorted(self.faults.items()))

    def add(self, faults: Mapping[Any, str]) -> None:
        """Count images, given as place (anything that sorts) -> reason; an image counts once however often it is met.

        Raises:
            DataError: If there are now more than the limit.
        """
        self.faults.update(faults)
        if len(self) > self.limit:
            raise DataError(
                f"{len(self):,} of {counted(self.total, 'image')} do not decode, more than max_corrupt={self.limit}: "
                f"{self._examples()}; repair or remove them, or raise max_corrupt."
            )

    @property
    def summary(self) -> str:
        """How many images were skipped, with the first of their names."""
        return f"{len(self):,} of {counted(self.total, 'image')} do not decode and were skipped: {self._examples()}"

    def report(self) -> None:
        """Log the summary, if more images were skipped than at the last report."""
        if len(self) > self._said:
            self._said = len(self)
            _log.warning("%s", self.summary)

    def _examples(self) -> str:
        names = [reason.split(" does not decode")[0] for reason in self.reasons[:3]]
        return ", ".join(names) + (", ..." if len(self) > 3 else "")
