import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnet.errors import BudgetError
from snnet.serving import POLICIES, Decision, Policy, Run, Summary, Wait, Workers, gamma_arrivals, simulate
from snnet.serving.simulation import ANSWERED, EXPIRED, LATE, REFUSED
from tests.serving.services import options


def test_a_service_worked_out_by_hand() -> None:
    """One worker, the quickest stitch: 1 second and 1 for each image, all answers due 5 seconds after arrival."""
    found = simulate([0.0, 0.5, 0.6, 0.7, 3.0, 3.9], options(scores=(60.0,)), "fixed", slo_ms=5000)
    # 0 to 2 the first alone; 2 to 5 and not further two of the three that wait, for the fourth image would end it at 6,
    # after 5.5; at 5 the third (due 5.7) can no longer be answered, the other two run from 5 to 8.
    assert found.starts[[0, 1, 2, 4, 5]] == pytest.approx([0, 2, 2, 5, 5])
    assert found.finishes[[0, 1, 2, 4, 5]] == pytest.approx([2, 5, 5, 8, 8])
    assert found.status.tolist() == [ANSWERED, ANSWERED, ANSWERED, EXPIRED, ANSWERED, ANSWERED]
    assert found.batches.tolist() == [1, 2, 2, 0, 2, 2]
    assert found.attainment == pytest.approx(5 / 6)
    assert (found.served_accuracy, found.value) == (60.0, pytest.approx(50.0))
    assert found.goodput == pytest.approx(5 / 8)
    assert found.latency(0.0, 1.0) == pytest.approx([2.0, 5.0])
    assert found.stitches() == {"0:0-12": 5}


def test_two_workers_share_one_queue() -> None:
    found = simulate([0.0, 0.1, 0.2, 0.3], options(scores=(60.0,)), "fixed", slo_ms=5000, workers=2)
    assert found.starts == pytest.approx([0, 0.1, 2, 2]) and found.attainment == 1.0


def test_what_nobody_can_answer_is_refused_at_once() -> None:
    found = simulate([0.0, 1.0], options(), slo_ms=np.array([1900.0, 2000.0]))
    assert found.status.tolist() == [REFUSED, ANSWERED]
    assert np.isnan(found.finishes[0]) and np.isnan(simulate([0.0], options(), slo_ms=1000).served_accuracy)


def test_requests_of_two_images_are_answered_whole() -> None:
    """Two images take 3 seconds and four 5: the second and the third request do not end together by 7.5."""
    found = simulate([0.0, 0.5, 0.6], options(scores=(60.0,)), "fixed", slo_ms=7000, images=2)
    assert found.starts[:2] == pytest.approx([0, 3]) and found.batches[:2].tolist() == [2, 2]
    assert found.status.tolist() == [ANSWERED, ANSWERED, EXPIRED]
    assert simulate([0.0, 0.5, 0.6], options(scores=(60.0,)), "fixed", slo_ms=9000, images=2).attainment == 1.0


def test_a_full_queue_refuses() -> None:
    found = simulate([0.0, 0.1, 0.2, 0.3], options(scores=(60.0,)), "fixed", slo_ms=9000, bound=2)
    assert found.status.tolist() == [ANSWERED, ANSWERED, ANSWERED, REFUSED]


def test_noise_makes_some_calls_longer_than_their_95th_percentile() -> None:
    run = {"slo_ms": 5000, "noise": 0.5, "seed": 1}
    found = simulate(np.arange(2000) * 100.0, options(), "max_accuracy", **run)  # type: ignore[arg-type]
    assert (found.status == LATE).mean() == pytest.approx(0.05, abs=0.015)
    again = simulate(np.arange(2000) * 100.0, options(), "max_accuracy", **run)  # type: ignore[arg-type]
    assert (found.finishes == again.finishes).all()


class Patient(Policy):
    """Waits for a second request, or until five seconds before the first is due."""

    def decide(self, waiting: Summary, now: float, workers: Workers) -> Decision:
        latest = float(waiting.deadlines[0]) - 5
        return Run(0, len(waiting.deadlines)) if len(waiting.deadlines) > 1 or now >= latest else Wait(latest)


def test_a_policy_may_wait() -> None:
    found = simulate([0.0, 1.0, 20.0], options(), Patient, slo_ms=9000)
    assert found.starts == pytest.approx([1, 1, 24])


class Idle(Policy):
    """Never does anything."""

    def decide(self, waiting: Summary, now: float, workers: Workers) -> Decision:
        return Wait(now)


def test_a_policy_that_never_runs_anything_comes_to_an_end() -> None:
    assert simulate([0.0, 1.0], options(), Idle, slo_ms=9000).status.tolist() == [EXPIRED, EXPIRED]


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0.0, 0.1, 0.7, 3.0, 20.0]), min_size=1, max_size=40),
    slo=st.sampled_from([1.0, 2.5, 7.0, 20.0]),
    workers=st.integers(1, 4),
    policy=st.sampled_from(POLICIES.names()),
    bound=st.sampled_from([3, 1000]),
    noise=st.sampled_from([0.0, 0.3]),
)
def test_every_request_has_one_end(
    gaps: list[float], slo: float, workers: int, policy: str, bound: int, noise: float
) -> None:
    arrivals = np.cumsum(gaps)
    found = simulate(arrivals, options(), policy, slo_ms=1000 * slo, workers=workers, bound=bound, noise=noise)
    assert np.isin(found.status, [ANSWERED, LATE, REFUSED, EXPIRED]).all()
    ran = found.rows >= 0
    assert (ran == np.isin(found.status, [ANSWERED, LATE])).all() and (ran == (found.batches > 0)).all()
    assert (found.starts[ran] >= arrivals[ran] - 1e-9).all()
    due = arrivals[ran] + slo + 1e-9
    assert ((found.finishes[ran] <= due) == found.in_time[ran]).all()
    if not noise:
        assert not (found.status == LATE).any(), "without noise nothing is run that will be late"
    # Batches are whole, and no more run at once than there are workers.
    for start in np.unique(found.starts[ran]):
        together = found.starts == start
        assert sum(1 / found.batches[together]) == pytest.approx(round(sum(1 / found.batches[together])))
        running = (found.starts <= start) & (found.finishes > start)
        assert sum(1 / found.batches[running]) <= workers + 1e-9


def test_a_thousand_workers_are_no_trouble() -> None:
    arrivals = gamma_arrivals(150, 2000, seed=0)
    assert simulate(arrivals, options(), slo_ms=20_000, workers=1000).attainment == 1.0


def test_nonsense_is_refused() -> None:
    for trace, workers in (([], 1), ([0.0], 0), ([1.0, 0.0], 1)):
        with pytest.raises(BudgetError, match="accepted"):
            simulate(trace, options(), slo_ms=1, workers=workers)
