import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from snnet.data import CorruptImageError, SkippedImages
from snnet.data.corrupt import decode, decoding
from snnet.data.pixel_modes import to_rgb
from snnet.errors import DataError


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_damaged_files_are_recognized(kind: str) -> None:
    whole = encoded(kind)
    assert decode(whole, "x").size == (30, 30)
    for broken in (b"", b"not an image", whole[: len(whole) // 2]):
        with pytest.raises(CorruptImageError, match=r"^x does not decode"):
            decode(broken, "x")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *((kind, "RGB") for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "TGA", "ICO", "QOI", "DDS")),
        *((kind, "RGB") for kind, needs in {"AVIF": "avif", "JPEG2000": "jpg_2000"}.items() if features.check(needs)),
        *(("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("PPM", "I;16"), ("TIFF", "F"), ("TIFF", "CMYK")),
    ],
)
def test_no_damage_in_the_middle_escapes(kind: str, mode: str) -> None:
    rng = np.random.default_rng(0)
    colors = Image.fromarray(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8))
    grey = {"I;16": rng.integers(0, 2**16, (30, 30), dtype=np.uint16), "F": rng.random((30, 30), dtype=np.float32)}
    buffer = io.BytesIO()
    (Image.fromarray(grey[mode]) if mode in grey else colors.convert(mode)).save(buffer, kind)
    whole = np.frombuffer(buffer.getvalue(), np.uint8)
    outcomes = set()
    for number in range(100):
        broken = whole.copy()
        within = min(300, len(whole)) if number % 2 else len(whole)
        broken[rng.integers(0, within, 8)] = rng.integers(0, 256, 8)
        try:
            outcomes.add(to_rgb(decode(broken.tobytes(), "x")).mode)
        except CorruptImageError as error:
            assert str(error).startswith("x does not decode (")
            outcomes.add("refused")
    assert "refused" in outcomes and outcomes <= {"RGB", "refused"}


def test_a_missing_file_is_not_taken_for_damage(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read: .*No such file") as caught, decoding("x"):
        (tmp_path / "gone.png").read_bytes()
    assert not isinstance(caught.value, CorruptImageError)


@pytest.mark.parametrize(("total", "limit"), [(5, 10), (1000, 10), (50_000, 500)])
def test_one_in_a_hundred_may_be_skipped_and_at_least_ten(total: int, limit: int) -> None:
    assert SkippedImages(total).limit == limit


def test_an_image_counts_once_and_too_many_are_refused() -> None:
    skipped = SkippedImages(50, limit=2)
    skipped.add({3: "c.png does not decode (broken)", 1: "a.png does not decode (broken)"})
    skipped.add({3: "c.png does not decode (broken)"})
    assert len(skipped) == 2
    assert skipped.reasons[0].startswith("a.png")
    with pytest.raises(DataError, match=r"3 of 50 images do not decode, more than max_corrupt=2: a.png, c.png, d.png;"):
        skipped.add({7: "d.png does not decode (broken)"})


def test_what_was_skipped_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    skipped = SkippedImages(50)
    with caplog.at_level(logging.WARNING):
        skipped.report()
        skipped.add({1: "a.png does not decode (broken)"})
        skipped.report()
        skipped.report()
    assert caplog.messages == ["1 of 50 images do not decode and were skipped: a.png"]
