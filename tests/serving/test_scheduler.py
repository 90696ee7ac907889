import pytest

from snnet.errors import BudgetError
from snnet.serving import (
    DeadlineQueue,
    Decision,
    Drop,
    Options,
    Policy,
    Request,
    Run,
    Scheduler,
    Summary,
    Wait,
    Workers,
)
from tests.serving.services import options


class Scripted(Policy):
    """Decides what it was told."""

    decisions: list[Decision]
    seen: list[Summary]

    def decide(self, waiting: Summary, now: float, workers: Workers) -> Decision:
        self.seen.append(waiting)
        return self.decisions.pop(0)


def scripted(*decisions: Decision) -> tuple[Scheduler, list[Summary]]:
    seen: list[Summary] = []

    def make(found: Options) -> Policy:
        policy = Scripted(found)
        policy.decisions, policy.seen = list(decisions), seen
        return policy

    return Scheduler(options(), make), seen


def offer(scheduler: Scheduler, *deadlines: float) -> None:
    for number, deadline in enumerate(deadlines):
        assert scheduler.offer(Request(number, 0.0, deadline), 0.0)


def test_a_turn_drops_and_runs_what_the_policy_says() -> None:
    scheduler, seen = scripted(Drop(1), Run(2, 2, drop=1))
    offer(scheduler, 30, 10, 20, 50, 40)
    turn = scheduler.turn(1.0, Workers())
    assert turn.job is not None
    assert [one.id for one in turn.expired] == [1, 2]
    assert [one.id for one in turn.job.requests] == [0, 4]
    assert (turn.job.option.stitch, turn.job.option.batch, turn.job.row) == ("2:0-12", 2, 2)
    assert [len(one.deadlines) for one in seen] == [5, 4] and len(scheduler.queue) == 1


def test_expired_requests_leave_before_the_policy_is_asked() -> None:
    scheduler, seen = scripted(Wait(7.0))
    offer(scheduler, 5, 9)
    turn = scheduler.turn(4.0, Workers())  # the quickest answer takes 2 seconds
    assert [one.id for one in turn.expired] == [0]
    assert (turn.job, turn.until, len(seen)) == (None, 7.0, 1)
    assert scheduler.turn(20.0, Workers()).until == float("inf"), "nobody waits, so nobody is asked"


def test_what_cannot_be_answered_in_time_is_refused_at_once() -> None:
    scheduler, _ = scripted()
    assert not scheduler.offer(Request(0, 0.0, 1.9), 0.0)
    assert scheduler.offer(Request(0, 0.0, 2.0), 0.0)
    assert not scheduler.offer(Request(1, 0.0, 6.0, size=8), 0.0), "eight images take 9 seconds"
    assert not scheduler.offer(Request(2, 0.0, 1e9, size=9), 0.0), "no batch is so large"
    assert not scheduler.offer(Request(3, 0.0, 4.0, stitch="2:0-12"), 0.0), "that one stitch takes 5 seconds"
    with pytest.raises(BudgetError, match="stitch 9"):
        scheduler.offer(Request(4, 0.0, 50.0, stitch="9"), 0.0)
    with pytest.raises(BudgetError, match="size of request 5 is 0"):
        scheduler.offer(Request(5, 0.0, 50.0, size=0), 0.0)
    full = Scheduler(options(), "max_batch", queue=DeadlineQueue(1))
    assert full.offer(Request(0, 0.0, 9.0), 0.0) and not full.offer(Request(1, 0.0, 9.0), 0.0)


def test_in_lasting_overload_what_cannot_be_in_time_is_refused_when_it_comes() -> None:
    """The quickest stitch takes a second and one for each image, eight at most: eight images take 9."""
    scheduler = Scheduler(options(), "elastic")
    assert scheduler.options.soonest_of_all(8) == 9 and scheduler.options.soonest_of_all(17) == 20
    for number in range(8):
        assert scheduler.offer(Request(number, 0.0, 10.0), 0.0)
    late, in_time = Request("late", 0.0, 10.9), Request("in time", 0.0, 11.0)
    for _ in range(150):
        assert scheduler.offer(late, 0.0), "in a burst nothing is refused for what waits"
        assert scheduler.queue.remove(late)
    for _ in range(150):
        scheduler.offer(late, 0.0)
        scheduler.queue.remove(late)
    assert not scheduler.offer(late, 0.0), "nine images take 11"
    assert scheduler.why_not(late).startswith("8 images before this request: not even the quickest stitch answers all")
    assert scheduler.offer(late, 0.0, Workers(2, idle=2)), "of two workers each answers its share"
    assert scheduler.queue.remove(late)
    assert not scheduler.offer(in_time, 0.0, Workers(1, idle=0, backlog=0.1)), "what runs comes first"
    scheduler.reserve = 0.1
    assert not scheduler.offer(in_time, 0.0), "there must be a second to spare"
    scheduler.reserve = 0.0
    assert scheduler.offer(in_time, 0.0)
    assert scheduler.offer(Request("first", 0.0, 9.9), 0.0), "nothing is due before it"
    assert scheduler.offer(Request("urgent", 0.0, 10.9, priority=1), 0.0, Workers(1, idle=0, backlog=8.9))
    assert len(scheduler.queue.drain()) == 11
    for number in range(500):
        assert scheduler.offer(Request(number, 0.0, 9.0), 0.0) and scheduler.queue.drain()
    for number in range(8):
        assert scheduler.offer(Request(number, 0.0, 10.0), 0.0)
    assert scheduler.offer(late, 0.0), "overload is forgotten"


def test_time_to_spare_is_learned_in_overload_alone() -> None:
    scheduler = Scheduler(options(), "elastic")
    scheduler.learn("expired", in_time=False)
    assert scheduler.reserve == 0.0
    for number in range(300):
        scheduler.offer(Request(number, 0.0, 2.5), 0.0, Workers(1, idle=0, backlog=1.0))
    scheduler.learn("expired", in_time=False)
    more = scheduler.reserve
    scheduler.learn("answered", in_time=True)
    assert more > scheduler.reserve > 0


def test_wishes_are_kept() -> None:
    scheduler = Scheduler(options(), "max_accuracy")
    assert scheduler.offer(Request("a", 0.0, 50.0, stitch="0:0-12"), 0.0)
    assert scheduler.offer(Request("b", 0.0, 60.0), 0.0)
    first, second = scheduler.turn(0.0, Workers()).job, scheduler.turn(0.0, Workers()).job
    assert first is not None and second is not None
    assert (first.option.stitch, second.option.stitch) == ("0:0-12", "2:0-12")
