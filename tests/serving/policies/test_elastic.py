from threading import Event
from time import sleep
from typing import Any

import numpy as np
import pytest

from snnet.serving import Run, Scheduler, Workers, gamma_arrivals, simulate
from snnet.serving.plans import Plans
from snnet.serving.policies import ElasticPolicy, MaxBatchPolicy
from tests.serving.services import options, waiting


def chosen(*slacks: float, rate: float = 0.01, workers: int = 1) -> Run:
    decision = ElasticPolicy(options()).decide(waiting(*slacks, rate=rate), 0.0, Workers(workers))
    assert isinstance(decision, Run)
    return decision


def test_the_best_stitch_answers_when_nobody_else_waits_or_is_expected() -> None:
    assert chosen(20.0) == Run(2, 1)


def test_what_is_expected_is_kept_time_for() -> None:
    assert chosen(20.0, rate=1.0).row < 2


def test_a_burst_gets_the_quickest_stitch_in_a_large_batch() -> None:
    found = chosen(*[20.0] * 30, rate=1.5)
    assert (found.row, found.images) == (0, 8)


def test_who_cannot_be_answered_without_making_others_late_is_given_up() -> None:
    """One is due in 2 seconds, and sixteen in 18.1, which is what two batches of eight take."""
    assert chosen(2.0, *[18.1] * 16, rate=1.0) == Run(0, 8, drop=1)


def test_several_workers_share_what_waits() -> None:
    assert chosen(*[20.0] * 4, workers=4) == Run(2, 1)


@pytest.mark.parametrize("cv2", [1, 8])
@pytest.mark.parametrize("load", [0.1, 0.3])
def test_it_answers_as_many_as_slackfit_and_better(cv2: float, load: float) -> None:
    arrivals = gamma_arrivals(load, 1500, cv2=cv2, seed=5)
    ours, theirs = (simulate(arrivals, options(), name, slo_ms=20_000) for name in ("elastic", "slackfit"))
    assert ours.attainment >= theirs.attainment - 0.002
    assert ours.served_accuracy >= theirs.served_accuracy - 0.02
    assert ours.value > theirs.value


def test_in_lasting_overload_it_answers_more() -> None:
    """At least two thirds of the eight images in 9 seconds that are possible, in bursts."""
    arrivals = gamma_arrivals(0.6, 1500, cv2=8, seed=5)
    ours, theirs = (simulate(arrivals, options(), name, slo_ms=20_000) for name in ("elastic", "slackfit"))
    assert ours.attainment > theirs.attainment + 0.02 and ours.value > theirs.value


def test_decisions_do_not_depend_on_the_clock() -> None:
    arrivals = gamma_arrivals(0.5, 300, cv2=4, seed=5)
    early, late = (simulate(arrivals + shift, options(), slo_ms=20_000) for shift in (0.0, 4096.0))
    assert np.mean(early.rows == late.rows) > 0.99


def test_what_is_prepared_is_not_solved_while_requests_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = Scheduler(options(), "elastic")
    scheduler.prepare(20.0, 2)
    monkeypatch.setattr("snnet.serving.policies.elastic.foresee", lambda *_: pytest.fail("solved"))
    for rate in (0.0, 0.01, 0.3, 1.0, 50.0):
        for count in (1, 30):
            assert isinstance(scheduler.policy.decide(waiting(*[20.0] * count, rate=rate), 0.0, Workers(2)), Run)


class Held(Plans):
    """Works nothing out until it is told to."""

    def __init__(self) -> None:
        super().__init__(beside=True)
        self.gate = Event()

    def _make_beside(self, key: Any, work: Any) -> None:
        assert self.gate.wait(20)
        super()._make_beside(key, work)


def test_nothing_waits_for_what_is_being_solved() -> None:
    plans, policy = Held(), ElasticPolicy(options())
    policy.plans = plans
    waits = waiting(20.0, 20.0, 20.0, rate=1.0)
    at_once = ElasticPolicy(options()).decide(waits, 0.0, Workers())
    # Nothing is known: `max_batch` decides.
    assert policy.decide(waits, 0.0, Workers()) == MaxBatchPolicy(options()).decide(waits, 0.0, Workers())
    plans.gate.set()
    while not plans.known():
        sleep(0.001)
    assert policy.decide(waits, 0.0, Workers()) == at_once
    # What is known of about such an allowance stands in for others, what is known of quite another one does not.
    plans.gate.clear()
    alike, unlike = (waiting(*[most] * 3, rate=1.1, allowance=most) for most in (22.0, 200.0))
    (known,) = plans.known().values()
    assert policy._outlook(22.0, 24.2, 1) is known and isinstance(policy.decide(alike, 0.0, Workers()), Run)
    assert policy._outlook(200.0, 220.0, 1) is None and isinstance(policy.decide(unlike, 0.0, Workers()), Run)
    plans.gate.set()
    plans.close()


def test_a_machine_that_is_a_little_slower_is_no_reason_to_solve_anew() -> None:
    plans = Plans(beside=True)
    scheduler = Scheduler(options(), "elastic", plans=plans)
    scheduler.prepare(20.0, 1)
    known = plans.count
    waits = waiting(20.0, 20.0, rate=1.0, allowance=20.0)
    for factor, more in ((1.0, 0), (1.15, 0), (0.9, 0), (1.25, 0), (3.0, 1)):
        scheduler.options.factor = factor
        assert isinstance(scheduler.policy.decide(waits, 0.0, Workers()), Run)
        plans._thread.submit(int).result(20)  # type: ignore[union-attr]
        assert plans.count == known + more, factor
    scheduler.close()


def test_deadlines_of_callers_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnet.serving.plans._KEPT", 3)
    policy = ElasticPolicy(options())
    for allowance in (5.0, 10.0, 20.0, 40.0, 80.0, 5.0):
        state = waiting(allowance, rate=0.01, allowance=allowance)
        assert isinstance(policy.decide(state, 0.0, Workers()), Run)
        assert len(policy.plans.known()) <= 3
