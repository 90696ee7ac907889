import asyncio
import threading
import time
import tracemalloc
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from snnet.serving import FrontSettings, RefusedError
from snnet.serving.front.faults import InvalidError, TooLargeError
from snnet.serving.front.pictures import Decoder, pixels_of
from tests.serving.front.service import FakeService, png, png_that_says


class SlowService(FakeService):
    """Takes a while for each picture, and notes how many it was busy with at once."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = self.most = 0
        self.lock = threading.Lock()

    def transform(self, picture: Image.Image) -> NDArray[np.float32]:
        with self.lock:
            self.busy += 1
            self.most = max(self.most, self.busy)
        time.sleep(0.03)
        with self.lock:
            self.busy -= 1
        return super().transform(picture)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_becomes_what_the_service_makes_of_it(service: FakeService, kind: str) -> None:
    picture = Image.new("RGB", (9, 7), (255, 0, 51))
    file = BytesIO()
    picture.save(file, kind)
    pixels, size = pixels_of(file.getvalue(), service, 1000)
    assert pixels.shape == (3, 4, 5) and size == (7, 9)
    np.testing.assert_allclose(pixels, service.transform(picture), atol=0.01)


@pytest.mark.parametrize(
    "size", [(30_000, 30_000), (8000, 8000), (2**31 - 1, 2**31 - 1)], ids=["bomb", "large", "largest"]
)
def test_a_picture_of_too_many_pixels_is_not_decoded(service: FakeService, size: tuple[int, int]) -> None:
    tracemalloc.start()
    with pytest.raises(TooLargeError, match="accepted are 50,000,000 at most"):
        pixels_of(png_that_says(*size), service, 50_000_000)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_picture_that_resizing_makes_huge_is_refused(service: FakeService) -> None:
    """A line of pixels becomes as many times wider as the service's side is."""
    with pytest.raises(TooLargeError, match="1 x 900 pixels; give one that is less long and narrow"):
        pixels_of(png(1, 900), service, 1000)
    assert pixels_of(png(30, 30), service, 1000)[0].shape == (3, 4, 5)


def test_a_jpeg_of_very_many_scans_is_not_decoded(service: FakeService) -> None:
    file = BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "JPEG", progressive=True)
    data = file.getvalue()
    assert pixels_of(data, service, 10_000)[0].shape == (3, 4, 5) and 1 < data.count(b"\xff\xda") < 20
    last = data.rindex(b"\xff\xda")
    with pytest.raises(InvalidError, match="more than 100 scans; save it anew with fewer"):
        pixels_of(data[:last] + data[last:-2] * 100 + data[-2:], service, 10_000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        png(90, 70)[:60],
        png(90, 70)[:-40],
        png(9, 7)[:40] + bytes(40),
        png_that_says(0, 0),
        png_that_says(9, 7),
        b"GIF89a" + bytes(50),
    ],
    ids=["empty", "text", "truncated", "tail", "damaged", "none", "no-data", "other-kind"],
)
def test_what_is_no_picture_is_told(service: FakeService, data: bytes) -> None:
    with pytest.raises(InvalidError, match="The picture is not JPEG or PNG, or a damaged one"):
        pixels_of(data, service, 50_000_000)


def test_no_more_are_decoded_at_once_than_there_are_threads() -> None:
    service = SlowService()
    decoder = Decoder(service, FrontSettings(decoding_threads=2))

    async def several() -> list[NDArray[np.float32]]:
        return await asyncio.gather(*(decoder.pixels(png(9, 7)) for _ in range(6)))

    assert len(asyncio.run(several())) == 6
    assert service.most == 2


def test_the_loop_goes_on_while_a_picture_is_decoded() -> None:
    decoder = Decoder(SlowService(), FrontSettings())

    async def turns() -> int:
        decoding, count = asyncio.ensure_future(decoder.pixels(png(9, 7))), 0
        while not decoding.done():
            await asyncio.sleep(0.001)
            count += 1
        return count

    assert asyncio.run(turns()) > 3


def test_no_more_wait_than_may() -> None:
    decoder = Decoder(SlowService(), FrontSettings(decoding_threads=1, decoding_waiting=1))

    async def several() -> list[object]:
        return await asyncio.gather(*(decoder.pixels(png(9, 7)) for _ in range(4)), return_exceptions=True)

    found = asyncio.run(several())
    assert [isinstance(one, RefusedError) for one in found] == [False, False, True, True]
    assert asyncio.run(decoder.pixels(png(9, 7)))[0].shape == (3, 4, 5)  # there is room again
