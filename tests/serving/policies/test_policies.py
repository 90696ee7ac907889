"""What every policy keeps to, and what each plain one chooses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnet.errors import BudgetError, RecipeError
from snnet.serving import POLICIES, Drop, Option, Options, Policy, Run, Summary, Workers
from snnet.serving.policies import FixedPolicy, SlackFitPolicy, SwitchingPolicy
from tests.serving.services import options, waiting

MADE = {name: POLICIES.get(name)(options()) for name in POLICIES.names()}


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(POLICIES.names()),
    slacks=st.lists(st.floats(2.0, 60.0), min_size=1, max_size=30),
    count=st.integers(1, 5),
    rate=st.sampled_from([0.05, 0.3, 2.0]),
    now=st.sampled_from([0.0, 1e6]),
    factor=st.sampled_from([1.0, 1.7]),
)
def test_no_policy_runs_what_it_knows_will_be_late(
    name: str, slacks: list[float], count: int, rate: float, now: float, factor: float
) -> None:
    policy = MADE[name]
    policy.options.factor = factor
    queue = waiting(*(now + slack for slack in slacks), rate=rate, allowance=60.0)
    decision = policy.decide(queue, now, Workers(count))
    if isinstance(decision, Run):
        assert 1 <= decision.images <= len(slacks) - decision.drop
        assert decision.images <= policy.options.max_batch and decision.drop >= 0
        end = now + policy.options.latencies[decision.row, decision.images - 1] * factor
        assert end <= queue.deadlines[decision.drop] + 1e-6
    else:
        assert isinstance(decision, Drop) and decision.images >= 1
        quickest = policy.options.latencies[-1 if name == "fixed" else 0, 0] * factor
        assert queue.deadlines[0] - now < quickest + 1e-6, "given up although the quickest would be in time"


@pytest.mark.parametrize("name", POLICIES.names())
@pytest.mark.parametrize("least", [3, 8, 9])
def test_a_request_of_several_images_is_run_whole_or_given_up(name: str, least: int) -> None:
    policy = POLICIES.get(name)(options())
    decision = policy.decide(waiting(*[50.0] * 9, least=least), 0.0, Workers())
    assert isinstance(decision, Drop) if least > 8 else isinstance(decision, Run) and decision.images >= least


ONE = Workers()


def chosen(policy: Policy, queue: Summary, workers: Workers = ONE) -> tuple[str, int]:
    decision = policy.decide(queue, 0.0, workers)
    assert isinstance(decision, Run)
    return policy.options.stitches[decision.row][0], decision.images


def test_plain_policies() -> None:
    """Stitches take 1 second and 1, 2 or 4 for each image."""
    found = options()
    queue = waiting(*[7.5] * 5)
    assert chosen(POLICIES.get("max_accuracy")(found), queue) == ("2", 1)
    assert chosen(POLICIES.get("max_batch")(found), queue) == ("0", 5)
    assert chosen(POLICIES.get("fixed")(found), queue) == ("2", 1)
    assert chosen(FixedPolicy(found, stitch="1:0-12"), queue) == ("1", 3)
    with pytest.raises(BudgetError, match="no stitch 'x'"):
        FixedPolicy(found, stitch="x")


def test_slackfit_takes_the_bucket_of_the_slack_and_of_it_the_largest_batch() -> None:
    """Ten buckets from 2 to 33 seconds, 3.1 wide: the first holds latencies up to 5.1, its largest batch is 4."""
    policy = SlackFitPolicy(options(), buckets=10, batch_sizes=(1, 2, 4, 8))
    queue = [6.0] * 9
    assert chosen(policy, waiting(*queue)) == ("0", 4)
    assert chosen(policy, waiting(*[4.9] * 9)) == ("0", 1), (
        "the bucket of 5 seconds does not fit; what is quickest does"
    )
    assert chosen(policy, waiting(*[9.5] * 9)) == ("0", 8)
    assert chosen(policy, waiting(*[17.5] * 9)) == ("1", 8)
    assert chosen(policy, waiting(*[100.0] * 9)) == ("2", 8)
    assert chosen(policy, waiting(100.0)) == ("2", 1)
    assert chosen(policy, waiting(17.5)) == ("1", 1), "the stitch of eight, for one"
    policy = SlackFitPolicy(options(), buckets=10, as_waits=True)
    assert chosen(policy, waiting(17.5)) == ("2", 1)
    assert chosen(policy, waiting(*[17.5] * 3)) == ("2", 2)
    assert chosen(policy, waiting(*[17.5] * 9)) == ("1", 8)
    with pytest.raises(RecipeError, match="buckets is 0"):
        SlackFitPolicy(options(), buckets=0)


def test_switching_loads_a_model_when_it_pays() -> None:
    found = options()
    policy = SwitchingPolicy(found, loading={"0:0-12": 1.0, "1:0-12": 2.0, "2:0-12": 4.0})
    assert policy.swaps
    assert (policy.loading_seconds("1:0-12", 1), policy.loading_seconds("0:0-12", 2)) == (0.0, 4.0)
    idle = waiting(20.0, rate=0.01)
    assert chosen(policy, idle, Workers(loaded="0:0-12")) == ("2", 1)
    assert chosen(policy, waiting(6.0, rate=0.01), Workers(loaded="1:0-12")) == ("1", 1), "loading takes too long"
    assert chosen(policy, waiting(6.0, rate=0.01), Workers()) == ("2", 1), "something must be loaded first"
    assert chosen(policy, waiting(20.0, rate=0.5), Workers(loaded="2:0-12"))[0] == "0"


class Cheapest(Policy):
    def decide(self, waiting: Summary, now: float, workers: Workers) -> Run:
        return Run(0, 1)


def test_a_policy_of_ones_own_is_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(POLICIES, "_entries", dict(POLICIES._entries))
    POLICIES.register("cheapest")(Cheapest)
    assert isinstance(POLICIES.get("cheapest")(options()), Cheapest)
    with pytest.raises(RecipeError, match="Did you mean 'elastic'"):
        POLICIES.get("elestic")


def test_one_option_is_enough() -> None:
    for name in POLICIES.names():
        policy = POLICIES.get(name)(Options([Option("0:0-12", 1, 2.0, 50.0)]))
        assert chosen(policy, waiting(20.0, 21.0)) == ("0", 1)
