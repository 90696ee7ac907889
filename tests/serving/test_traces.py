import gzip
from pathlib import Path

import numpy as np
import pytest

from snnet.errors import DataError
from snnet.serving import gamma_arrivals, ramp_arrivals, read_arrivals, scaled_to


@pytest.mark.parametrize("cv2", [0.5, 1.0, 4.0])
def test_gamma_arrivals_have_the_rate_and_the_variation_asked_for(cv2: float) -> None:
    gaps = np.diff(gamma_arrivals(20, 100_000, cv2=cv2, seed=1))
    assert gaps.mean() == pytest.approx(1 / 20, rel=0.03)
    assert gaps.var() / gaps.mean() ** 2 == pytest.approx(cv2, rel=0.06)


def test_a_seed_gives_the_same_arrivals_again() -> None:
    assert (gamma_arrivals(5, 50, seed=4) == gamma_arrivals(5, 50, seed=4)).all()
    assert (gamma_arrivals(5, 50, seed=4) != gamma_arrivals(5, 50, seed=5)).any()
    assert (ramp_arrivals(1, 9, 30, seed=4) == ramp_arrivals(1, 9, 30, seed=4)).all()


def test_a_ramp_rises() -> None:
    times = ramp_arrivals(10, 90, 200, seed=0)
    halves = np.histogram(times, [0, 100, 200])[0]
    assert halves / 100 == pytest.approx([30, 70], rel=0.05)
    assert (np.diff(times) >= 0).all()


def test_time_is_scaled_to_a_rate() -> None:
    scaled = scaled_to(np.array([5.0, 6.0, 9.0]), 4.0)
    assert scaled == pytest.approx([0, 0.125, 0.5])


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_files_are_read_compressed_or_not(tmp_path: Path, pack: "type[bytes]") -> None:
    (tmp_path / "times").write_bytes(pack(b"3.5\n1.5\n2\n"))
    assert read_arrivals(tmp_path / "times").tolist() == [0.0, 0.5, 2.0]


def test_what_is_no_trace_is_refused(tmp_path: Path) -> None:
    for content in (b"1\nsoon\n", b"", b"nan\n", gzip.compress(b"1\n2\n" * 50)[:-9], b"\xff\xfe"):
        (tmp_path / "times").write_bytes(content)
        with pytest.raises(DataError, match="times"):
            read_arrivals(tmp_path / "times")
    with pytest.raises(DataError, match="no file"):
        read_arrivals(tmp_path / "nowhere")
    with pytest.raises(DataError, match="rate is 0"):
        gamma_arrivals(0, 5)
    with pytest.raises(DataError, match="-1"):
        ramp_arrivals(-1, 5, 10)
    with pytest.raises(DataError, match="2 requests arrive within 0"):
        scaled_to(np.zeros(2), 1.0)
