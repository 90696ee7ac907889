import numpy as np
import pytest

from snnet.serving import ArrivalRate, gamma_arrivals


def after(arrivals: np.ndarray, allowance: float) -> ArrivalRate:
    rate = ArrivalRate()
    for arrival in arrivals:
        rate.observe(float(arrival), allowance)
    return rate


def test_the_rate_of_a_steady_stream_is_found() -> None:
    arrivals = gamma_arrivals(50, 5000, seed=3)
    assert after(arrivals, 0.5)(arrivals[-1]) == pytest.approx(50, rel=0.3)
    even = np.arange(1000) / 20
    assert after(even, 1.0)(even[-1]) == pytest.approx(20, rel=0.03)


def test_a_change_is_followed_within_the_memory() -> None:
    calm = np.arange(300) / 2
    rate = after(calm, 1.0)
    assert rate(calm[-1]) == pytest.approx(2, rel=0.3)
    for arrival in calm[-1] + np.arange(1, 601) / 10:
        rate.observe(float(arrival), 1.0)
    assert rate(calm[-1] + 60) == pytest.approx(10, rel=0.1)
    assert rate(calm[-1] + 160) < 0.2
    assert rate.allowance == pytest.approx(1.0)


def test_nothing_arrives_before_the_first() -> None:
    assert ArrivalRate()(5.0) == 0.0


def test_images_count_and_not_requests() -> None:
    rate = ArrivalRate()
    for arrival in range(200):
        rate.observe(float(arrival), 10.0, size=3)
    assert rate(200.0) == pytest.approx(3, rel=0.1)
