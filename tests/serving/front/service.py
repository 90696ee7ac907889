"""A service that answers with what it was sent, or fails as it is told, and requests to it."""

import asyncio
import json
import struct
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snnet.serving import Answered, Asked
from snnet.space import OutputSpec

SIZE = (3, 4, 5)
PATH = "/v2/models/tiny/infer"
IMAGES = np.arange(2 * 60, dtype=np.float32).reshape(2, *SIZE) / 7
LENGTH = "Inference-Header-Content-Length"


class FakeService:
    """Its logits are the first numbers of each image."""

    name, version, size, class_count, largest = "tiny", "3", SIZE, 4, 4
    output = OutputSpec()

    def __init__(self) -> None:
        self.ready = True
        self.classes: tuple[str, ...] | None = ("ant", "bee", "cat", "dog")
        self.error: BaseException | None = None
        self.score = 0.75
        self.asked: list[Asked] = []

    def transform(self, picture: Image.Image) -> NDArray[np.float32]:
        colors = np.asarray(picture.convert("RGB").resize(SIZE[:0:-1]), np.float32)
        return np.ascontiguousarray(colors.transpose(2, 0, 1)) / 255

    async def ask(self, asked: Asked) -> Answered:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return Answered(logits_of(asked.images), "0:0-3", self.score, 8, 1.5, 2.5)


class Unanswering(FakeService):
    """Answers nobody; how many gave it up."""

    cancelled = 0

    async def ask(self, asked: Asked) -> Answered:
        self.asked.append(asked)
        try:
            return await asyncio.Event().wait()  # type: ignore[return-value]
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def eventually(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What a condition gives once it holds; if it does not within some time, what it gave last."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def logits_of(images: NDArray[np.float32]) -> NDArray[np.float32]:
    return images.reshape(len(images), -1)[:, : FakeService.class_count]


def tensor(images: NDArray[np.float32] = IMAGES, **changed: Any) -> dict[str, Any]:
    given = {"name": "images", "datatype": "FP32", "shape": list(images.shape), "data": images.ravel().tolist()}
    return {name: value for name, value in {**given, **changed}.items() if value is not None}


def request(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in {"inputs": [tensor()], **changed}.items() if value is not None}


def binary(images: NDArray[np.float32] = IMAGES, **changed: Any) -> tuple[bytes, dict[str, str]]:
    """A body with the bytes of images after its JSON, and its headers."""
    data = images.astype("<f4").tobytes()
    given = tensor(images, data=None, parameters={"binary_data_size": len(data)})
    text = json.dumps(request(inputs=[given], **changed)).encode()
    return text + data, {LENGTH: str(len(text))}


def png(width: int, height: int, color: str = "red") -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height), color).save(file, "PNG")
    return file.getvalue()


def png_that_says(width: int, height: int) -> bytes:
    """A file of some bytes whose header says that it is a picture of that size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
