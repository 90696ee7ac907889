import numpy as np
import pytest

from snnet.serving.correction import Correction, reserve_after
from tests.serving.workers import options


def test_the_factor_follows_what_calls_take() -> None:
    given = options()
    correction = Correction(given)
    correction.relax(0.0)
    correction.observe(0.010, 0.030, 0.0)
    assert given.factor == 2.0
    correction.observe(0.010, 0.010, 0.0)
    assert given.factor == pytest.approx(1.95)
    for _ in range(200):
        correction.observe(0.010, 0.005, 0.0)
    assert given.factor == pytest.approx(0.5, abs=0.001)
    correction.relax(100.0)
    assert given.factor == pytest.approx(0.5, abs=0.001), "a machine that is faster stays so"


def test_one_call_that_was_held_up_says_little_and_is_forgotten() -> None:
    given = options()
    correction = Correction(given, memory=2.0)
    correction.relax(10.0)
    correction.observe(0.010, 10.0, 10.0)
    assert given.factor == 2.5
    correction.relax(12.0)
    assert given.factor == pytest.approx(1 + 1.5 / 2.71828, rel=1e-4)
    correction.relax(30.0)
    assert given.factor == pytest.approx(1, abs=0.001)


def test_lasting_slowness_is_believed() -> None:
    given = options()
    correction = Correction(given)
    now = 0.0
    for _ in range(100):
        now += 0.03
        correction.observe(0.010, 0.030, now)
    assert given.factor == pytest.approx(3.0, rel=0.05)


def test_the_reserve_settles_where_few_of_those_let_in_are_lost() -> None:
    draw, reserve, lost = np.random.default_rng(0), 0.0, list[bool]()
    for _ in range(20_000):
        # The larger the reserve, the less often a request is late: one in fifty at 0.34.
        late = draw.random() < 0.5 * np.exp(-reserve * 9.5)
        reserve = reserve_after(reserve, "expired" if late else "answered", in_time=not late)
        lost.append(late)
    assert 0.015 < np.mean(lost[-10_000:]) < 0.025 and 0.2 < reserve < 0.5
    for _ in range(1000):
        reserve = reserve_after(reserve, "answered", in_time=True)
    assert reserve == 0.0
    for _ in range(100):
        reserve = reserve_after(reserve, "answered", in_time=False)
    assert reserve == 1.0
    assert reserve_after(0.3, "refused", in_time=False) == 0.3, "who was not let in says nothing"
