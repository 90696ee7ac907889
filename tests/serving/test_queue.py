from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.errors import BudgetError
from snnet.serving import DeadlineQueue, Request

DEADLINES = st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=40)


def filled(*requests: Request, bound: int = 1000) -> DeadlineQueue:
    queue = DeadlineQueue(bound)
    for request in requests:
        assert queue.put(request)
    return queue


def request(number: int, deadline: float, **more: object) -> Request:
    return Request(number, 0.0, deadline, **more)  # type: ignore[arg-type]


@given(DEADLINES, st.integers(1, 5))
def test_requests_leave_in_the_order_of_their_deadlines(deadlines: list[float], images: int) -> None:
    queue = filled(*(request(place, due) for place, due in enumerate(deadlines)))
    left = []
    while (summary := queue.summary(0.0)) is not None:
        assert summary.deadlines.tolist() == sorted(deadlines)[len(left) :]
        left += queue.take(summary.lane, images)
    # Among equal deadlines the one that came first.
    assert [one.id for one in left] == sorted(range(len(deadlines)), key=lambda place: (deadlines[place], place))
    assert len(queue) == 0


@given(DEADLINES, st.floats(0, 100))
def test_expired_requests_leave_and_others_stay(deadlines: list[float], now: float) -> None:
    queue = filled(*(request(place, due, priority=place % 2) for place, due in enumerate(deadlines)))
    gone = queue.expire(now)
    assert sorted(one.deadline for one in gone) == sorted(due for due in deadlines if due < now)
    assert len(queue) == len(deadlines) - len(gone) == len(queue.drain())


@given(st.lists(st.tuples(st.floats(0, 9), st.integers(-2, 2)), min_size=1, max_size=20))
def test_the_highest_priority_goes_first(pairs: list[tuple[float, int]]) -> None:
    queue = filled(*(request(place, due, priority=priority) for place, (due, priority) in enumerate(pairs)))
    left: list[Request] = []
    while (summary := queue.summary(0.0)) is not None:
        assert summary.behind + len(summary.deadlines) == len(queue)
        left += queue.take(summary.lane, 1)
    assert [(-one.priority, one.deadline) for one in left] == sorted((-priority, due) for due, priority in pairs)


def test_only_what_can_share_a_batch_leaves_together() -> None:
    queue = filled(request(0, 3), request(1, 1, stitch="0:0-12"), request(2, 2), request(3, 4, limits=(("macs", 1e9),)))
    taken = []
    while (summary := queue.summary(0.0)) is not None:
        taken.append([one.id for one in queue.take(summary.lane, 10)])
    assert taken == [[1], [2, 0], [3]]


def test_a_request_of_several_images_leaves_whole() -> None:
    queue = filled(request(0, 1, size=3), request(1, 2, size=2), request(2, 3))
    summary = queue.summary(0.0)
    assert summary is not None
    assert (summary.deadlines.tolist(), summary.least) == ([1, 1, 1, 2, 2, 3], 3)
    assert [one.id for one in queue.take(summary.lane, 4)] == [0]
    assert [one.id for one in queue.take(summary.lane, 1)] == [1], "the most urgent one leaves, however large"
    assert [one.id for one in queue.take(summary.lane, 1)] == [2]
    assert queue.take(summary.lane, 1) == [] and queue.summary(0.0) is None


def test_a_request_may_be_removed() -> None:
    given = [request(0, 2, size=3), request(1, 1), request(2, 2), request(3, 2, priority=1)]
    queue = filled(*given)
    assert queue.remove(given[2]) and not queue.remove(given[2]) and len(queue) == 3
    assert not queue.remove(request(0, 2, size=3)), "another one of the same"
    assert queue.remove(given[3]) and not queue.remove(given[3])
    summary = queue.summary(0.0)
    assert summary is not None and summary.deadlines.tolist() == [1, 2, 2, 2] and summary.behind == 0
    assert [one.id for one in queue.drain()] == [1, 0]


def test_the_queue_is_bounded() -> None:
    queue = filled(request(0, 1), request(1, 1), bound=2)
    assert not queue.put(request(2, 0)) and len(queue) == 2
    with pytest.raises(BudgetError, match="bound is 0"):
        DeadlineQueue(0)


def test_threads_lose_and_double_nothing() -> None:
    queue, found = DeadlineQueue(), []

    def put(start: int) -> None:
        for number in range(start, start + 500):
            queue.put(request(number, float(number % 17)))

    def take() -> None:
        for _ in range(800):
            found.extend(queue.take((0, "", ()), 2))

    threads = [Thread(target=put, args=(start,)) for start in (0, 500)] + [Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted([one.id for one in found] + [one.id for one in queue.drain()]) == list(range(1000))  # type: ignore[type-var]
