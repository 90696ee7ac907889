import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from snnet.errors import BudgetError, EngineError
from snnet.serving import DeadlineQueue, Option, Options, Outcome, Scheduler
from snnet.serving.dispatcher import Dispatcher
from snnet.serving.front.asking import Answered, Asked, ExpiredError, FailedError, RefusedError
from tests.serving.workers import FakeWorker, images, options


def served(
    workers: list[FakeWorker], work: Any, policy: str = "elastic", bound: int = 100
) -> tuple[Any, list[Outcome]]:
    """Return what `work` returns for a dispatcher, and what was heard."""
    heard: list[Outcome] = []

    async def main() -> Any:
        dispatcher = Dispatcher(Scheduler(options(), policy, queue=DeadlineQueue(bound)), workers, heard.append)
        try:
            return await work(dispatcher)
        finally:
            await dispatcher.close()

    return asyncio.run(main()), heard


async def all_of(*asked: Coroutine[Any, Any, Answered]) -> list[Any]:
    return await asyncio.gather(*asked, return_exceptions=True)


def test_a_request_at_an_idle_server_gets_the_best_stitch() -> None:
    worker = FakeWorker()
    answer, heard = served([worker], lambda one: one.ask(Asked(images(2, 5.0)), 1.0))
    np.testing.assert_array_equal(answer.logits, np.full((2, 3), 5.0))
    assert (answer.stitch, answer.score, answer.batch) == ("1:0-4", 90.0, 2)
    assert 0 <= answer.queue_ms < 500 and 0 <= answer.compute_ms < 500
    (outcome,) = heard
    assert (outcome.status, outcome.in_time, outcome.stitch, outcome.batch) == ("answered", True, "1:0-4", 2)
    assert worker.closed


def test_requests_that_wait_are_run_together_and_answered_apart() -> None:
    worker = FakeWorker()
    worker.gate.clear()

    async def work(one: Dispatcher) -> list[Any]:
        asked = [asyncio.ensure_future(one.ask(Asked(images(1 + n % 2, float(n))), 5.0)) for n in range(7)]
        await asyncio.sleep(0.05)
        assert one.waiting == 6 and len(one._asked) == 7
        worker.gate.set()
        return await asyncio.gather(*asked)

    answers, heard = served([worker], work, "max_batch")
    for number, answer in enumerate(answers):
        np.testing.assert_array_equal(answer.logits, np.full((1 + number % 2, 3), number))
    assert len(worker.ran) < 7 and sum(count for _, count in worker.ran) == 10
    assert len(heard) == 7 and all(one.status == "answered" for one in heard)


def test_what_cannot_be_in_time_is_refused_at_once_and_what_waits_too_long_expires() -> None:
    worker = FakeWorker()
    worker.gate.clear()

    async def work(one: Dispatcher) -> list[Any]:
        with pytest.raises(
            RefusedError, match=r"No stitch answers 1 images within 1 ms; the quickest takes 2\.2 ms"
        ) as refused:
            await one.ask(Asked(images(1)), 0.001)
        assert refused.value.retry_after >= 1
        with pytest.raises(RefusedError, match="The request has 9 images; accepted: up to 8"):
            await one.ask(Asked(images(9)), 1.0)
        with pytest.raises(BudgetError, match="9:9-9"):
            await one.ask(Asked(images(1), stitch="9:9-9"), 1.0)
        asked = [asyncio.ensure_future(one.ask(Asked(images(1)), seconds)) for seconds in (5.0, 0.1, 5.0, 5.0)]
        await asyncio.sleep(0)
        with pytest.raises(RefusedError, match="3 requests wait, and no more may"):
            await one.ask(Asked(images(1)), 5.0)
        await asyncio.sleep(0.2)
        worker.gate.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    answers, heard = served([worker], work, bound=3)
    assert [type(answer) for answer in answers] == [Answered, ExpiredError, Answered, Answered]
    told = [one.status for one in heard]
    assert told.count("refused") == 3 and told.count("expired") == 1 and told.count("answered") == 3


def test_the_batch_of_a_worker_that_dies_is_run_once_more() -> None:
    worker = FakeWorker()
    worker.deaths = 1
    answers, heard = served([worker], lambda one: all_of(*(one.ask(Asked(images(1)), 5.0) for _ in range(3))))
    assert all(isinstance(answer, Answered) for answer in answers)
    assert worker.restarted == 1 and [one.status for one in heard] == ["answered"] * 3
    worker = FakeWorker()
    worker.deaths = 2
    answers, heard = served([worker], lambda one: all_of(one.ask(Asked(images(1)), 5.0)))
    assert isinstance(answers[0], FailedError) and "exit code -9" in str(answers[0])
    assert worker.restarted == 2 and [one.status for one in heard] == ["failed"]


def test_a_worker_that_was_dead_before_has_not_run_the_batch() -> None:
    worker = FakeWorker()
    worker.deaths, worker.began = 3, False
    answers, heard = served([worker], lambda one: all_of(one.ask(Asked(images(1)), 5.0)))
    assert isinstance(answers[0], Answered) and [one.status for one in heard] == ["answered"]
    assert worker.restarted == 3


def test_another_worker_takes_over_while_one_is_replaced() -> None:
    lost, other = FakeWorker(), FakeWorker()
    lost.deaths, replaced = 1, threading.Event()
    lost.restart = lambda: replaced.wait(10) and None  # type: ignore[method-assign]

    async def work(one: Dispatcher) -> Answered:
        answer = await one.ask(Asked(images(1)), 5.0)
        assert not replaced.is_set()
        replaced.set()
        return answer

    assert isinstance(served([other, lost], work)[0], Answered) and other.ran and not lost.ran


def test_who_leaves_is_not_run_and_told_of_once() -> None:
    worker = FakeWorker()
    worker.gate.clear()

    async def work(one: Dispatcher) -> list[Any]:
        running, stays, leaves, late = (
            asyncio.ensure_future(one.ask(Asked(images(1, float(n))), 5.0 if n < 3 else 0.05)) for n in range(4)
        )
        await asyncio.sleep(0.01)
        for asked in (running, leaves):
            asked.cancel()
        await asyncio.sleep(0)
        assert one.waiting == 2 and len(one._asked) == 2
        await asyncio.wait([late])
        assert one.waiting == 1, "no worker is free, and yet who is too late is told"
        worker.gate.set()
        return await asyncio.gather(running, stays, leaves, late, return_exceptions=True)

    answers, heard = served([worker], work, "max_batch")
    assert [type(one) for one in answers] == [asyncio.CancelledError, Answered, asyncio.CancelledError, ExpiredError]
    assert [one.status for one in heard] == ["cancelled", "cancelled", "expired", "answered"]
    assert worker.ran == [("1:0-4", 1)] * 2, "one had begun, and one was waited for"


def test_a_worker_that_hangs_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnet.serving.dispatcher._PATIENCE", 0.05)
    monkeypatch.setattr(Dispatcher._be_over, "__defaults__", (0.05,))
    worker = FakeWorker()
    worker.gate.clear()

    async def work(one: Dispatcher) -> None:
        with pytest.raises(FailedError, match="did not answer within"):
            await one.ask(Asked(images(1)), 0.05)
        worker.gate.set()

    _, heard = served([worker], work)
    assert [one.status for one in heard] == ["failed"]


def test_a_worker_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnet.serving.dispatcher._PATIENCE", 0.05)
    worker = FakeWorker()
    worker.gate.clear()
    worker.deaths = 1
    worker.interrupt = worker.gate.set  # type: ignore[method-assign]
    answers, heard = served([worker], lambda one: all_of(one.ask(Asked(images(1)), 5.0)))
    assert isinstance(answers[0], Answered) and [one.status for one in heard] == ["answered"]
    assert worker.restarted == 1


def test_a_worker_that_fails_says_so_and_goes_on() -> None:
    worker = FakeWorker()
    worker.faults = 1

    async def work(one: Dispatcher) -> Answered:
        with pytest.raises(FailedError, match="no memory"):
            await one.ask(Asked(images(1)), 5.0)
        return await one.ask(Asked(images(1)), 5.0)

    answer, heard = served([worker], work)
    assert isinstance(answer, Answered) and [one.status for one in heard] == ["failed", "answered"]


def test_latencies_follow_what_calls_take() -> None:
    worker = FakeWorker(0.03)

    async def work(one: Dispatcher) -> tuple[Answered, Answered]:
        first = await one.ask(Asked(images(1)), 0.02)
        # Calls took more than four times as long as was measured: the better stitch would be late now.
        return first, await one.ask(Asked(images(1)), 0.012)

    (first, second), _ = served([worker], work)
    assert first.stitch == "1:0-4" and second.stitch == "0:0-2"


def test_closing_answers_what_waits_and_takes_no_more() -> None:
    worker = FakeWorker(0.01)

    async def work(one: Dispatcher) -> list[Any]:
        asked = [asyncio.ensure_future(one.ask(Asked(images(1)), 5.0)) for _ in range(20)]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(one.close())
        await asyncio.sleep(0)
        with pytest.raises(RefusedError, match="going down"):
            await one.ask(Asked(images(1)), 5.0)
        await closing
        return await asyncio.gather(*asked)

    answers, _ = served([worker], work)
    assert len(answers) == 20 and worker.closed


def test_several_workers_run_at_once() -> None:
    workers = [FakeWorker(0.02) for _ in range(3)]
    served(workers, lambda one: all_of(*(one.ask(Asked(images(4)), 5.0) for _ in range(6))))
    assert all(worker.ran for worker in workers)


def test_a_bad_moment_does_not_refuse_for_ever() -> None:
    worker = FakeWorker(0.0)
    now = 0.0

    async def main() -> list[str]:
        nonlocal now
        dispatcher = Dispatcher(Scheduler(options()), [worker], clock=lambda: now)
        await dispatcher.ask(Asked(images(1)), 0.02)
        dispatcher.scheduler.options.factor = 30.0
        told = []
        for _ in range(40):
            now += 0.25
            try:
                told.append((await dispatcher.ask(Asked(images(1)), 0.02)).stitch)
            except RefusedError:
                told.append("refused")
        await dispatcher.close()
        return told

    told = asyncio.run(main())
    assert told[0] == "refused" and told[-1] == "1:0-4"


def test_a_worker_that_cannot_be_replaced_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnet.serving.dispatcher._SOON", 0.01)
    worker = FakeWorker()
    worker.deaths, tries = 1, list[int]()

    def restart() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise EngineError("no memory")

    worker.restart = restart  # type: ignore[method-assign]
    answers, _ = served([worker], lambda one: all_of(one.ask(Asked(images(1)), 5.0)))
    assert isinstance(answers[0], Answered) and len(tries) == 3


def test_limits_that_come_to_the_same_share_a_policy() -> None:
    given = Options(
        [Option(stitch, 1, 0.001, score) for stitch, score in (("0:0-2", 80.0), ("1:0-4", 90.0))],
        costs={"0:0-2": {"macs": 10.0}, "1:0-4": {"macs": 20.0}},
    )
    assert given.rounded((("macs", 19.5), ("params", 3.0))) == (("macs", 10.0), ("params", 3.0))
    assert given.rounded((("macs", 1.0),)) == (("macs", 1.0),)

    async def main() -> tuple[list[str], int]:
        dispatcher = Dispatcher(Scheduler(given), [FakeWorker()])
        asked = [dispatcher.ask(Asked(images(1), limits=(("macs", 10 + n / 10),)), 5.0) for n in range(50)]
        found = [answer.stitch for answer in await asyncio.gather(*asked)]
        with pytest.raises(BudgetError, match="macs <= 1"):
            await dispatcher.ask(Asked(images(1), limits=(("macs", 1.0),)), 5.0)
        await dispatcher.close()
        return found, len(dispatcher.scheduler._policies)

    found, policies = asyncio.run(main())
    assert set(found) == {"0:0-2"} and policies == 1


def test_a_worker_that_hangs_for_long_is_told() -> None:
    worker, now = FakeWorker(), [0.0]
    worker.gate.clear()

    async def work() -> list[bool]:
        dispatcher = Dispatcher(Scheduler(options(), "elastic"), [worker], clock=lambda: now[0])
        seen = [dispatcher.stuck]
        asked = asyncio.ensure_future(dispatcher.ask(Asked(images(1)), 5.0))
        for now[0] in (1.0, 60.0):
            await asyncio.sleep(0.01)
            seen.append(dispatcher.stuck)
        worker.gate.set()
        await asked
        await asyncio.sleep(0.01)
        seen.append(dispatcher.stuck)
        await dispatcher.close()
        return seen

    assert asyncio.run(work()) == [False, False, True, False]
