"""Queue, policy and workers together, on one event loop: requests come in, and every one of them ends."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from snnet.errors import EngineError, WorkerLostError
from snnet.serving.correction import Correction
from snnet.serving.front.asking import Answered, Asked, ExpiredError, FailedError, RefusedError
from snnet.serving.policy import Workers
from snnet.serving.request import Outcome, Request, Status
from snnet.serving.scheduler import Job, Scheduler
from snnet.serving.workers import Images, Worker

_LOG = logging.getLogger(__name__)
_PATIENCE = 10.0
"""Seconds after which a request whose worker does not answer is given up, behind its deadline, and so is the worker."""
_SOON = 1.0
"""Seconds after which who was refused may ask again, at least."""

Hearing = Callable[[Outcome], object]
"""Is told what became of each request."""


@dataclass(slots=True)
class _Asked:
    request: Request
    images: Images
    answer: "asyncio.Future[Answered]"
    timer: asyncio.TimerHandle = field(init=False)
    runs: int = 0


class Dispatcher:
    """Lets requests wait, and has free workers run what the policy says.

    Everything but the running itself happens on the event loop that `ask` is called on. A request that was accepted
    ends with an answer or an error: also where a worker dies, which is replaced, and whose batch is run once more if
    there is time. Whoever cancels `ask` leaves the queue.

    Args:
        scheduler: Queue and policy.
        workers: What runs; one batch at a time each.
        hear: Is told what became of each request.
        clock: Tells seconds.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        workers: Sequence[Worker],
        hear: Hearing = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scheduler, self.workers, self._hear, self._clock = scheduler, tuple(workers), hear, clock
        self._correction = Correction(scheduler.options)
        self._idle = list(workers)
        self._until: dict[Worker, float] = {}
        self._asked: dict[int | str, _Asked] = {}
        self._numbers = count()
        self._threads: Executor = ThreadPoolExecutor(len(workers), "snnet-worker")
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return len(self.scheduler.queue)

    @property
    def stuck(self) -> bool:
        """Whether all workers hang, or have died and are not replaced, for long."""
        return not self._idle and max(self._until.values()) < self._clock() - _PATIENCE

    async def ask(self, asked: Asked, seconds: float) -> Answered:
        """Return the answer to a request.

        Args:
            asked: Images and wishes.
            seconds: Time from now in which it must be answered.

        Raises:
            RefusedError: If no option can answer in time, too many wait, or the dispatcher is closing.
            ExpiredError: If its deadline has passed while it waited.
            FailedError: If its worker failed.
            BudgetError: If no stitch is what it asks for.
        """
        now, loop = self._clock(), asyncio.get_running_loop()
        size, limits = len(asked.images), self.scheduler.options.rounded(asked.limits)
        request = Request(next(self._numbers), now, now + seconds, size, asked.priority, asked.stitch, limits)
        if self._idle:
            self._correction.relax(now)
        if self._closing or not self.scheduler.offer(request, now, self._state(now)):
            self._tell(request, "refused")
            why = "This server is going down and takes no more requests." if self._closing else None
            raise RefusedError(why or self.scheduler.why_not(request), retry_after=self._retry_after(now))
        one = self._asked[request.id] = _Asked(request, asked.images, loop.create_future())
        one.timer = loop.call_later(seconds, self._be_over, one)
        try:
            self._serve()
            return await one.answer
        except asyncio.CancelledError:
            self._leave(one)
            raise
        finally:
            one.timer.cancel()
            del self._asked[request.id]

    async def close(self) -> None:
        """Accept no more, answer what waits, and end the workers."""
        self._closing = True
        while self._asked:
            self._serve()
            await asyncio.sleep(0.01)
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.gather(*(asyncio.to_thread(worker.close) for worker in self.workers))
        self._threads.shutdown(wait=False)
        self.scheduler.close()

    def _be_over(self, one: _Asked, patience: float = _PATIENCE) -> None:
        """Let a request whose deadline has passed wait no longer; one that runs is given some patience."""
        if self.scheduler.queue.remove(one.request):
            self._end(one.request, "expired", ExpiredError("The deadline passed before a worker was free."))
        elif patience:
            one.timer = asyncio.get_running_loop().call_later(patience, self._be_over, one, 0.0)
        else:
            why = f"The worker did not answer within {_PATIENCE:g} s of the deadline; it hangs, or this machine does."
            self._end(one.request, "failed", FailedError(why))

    def _leave(self, one: _Asked) -> None:
        """Take account of a request whose asker is gone."""
        if one.answer.cancelled():
            self.scheduler.queue.remove(one.request)
            self._tell(one.request, "cancelled" if self._clock() <= one.request.deadline else "expired")

    def _state(self, now: float, loaded: str = "") -> Workers:
        return Workers(len(self.workers), len(self._idle), sum(max(0, t - now) for t in self._until.values()), loaded)

    def _serve(self) -> None:
        """Let free workers run what the policy says now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._idle and self.waiting:
            now, worker = self._clock(), self._idle[-1]
            turn = self.scheduler.turn(now, self._state(now, worker.loaded))
            for request in turn.expired:
                self._end(request, "expired", ExpiredError("The deadline passed before a worker was free."))
            if turn.job is None:
                if self.waiting and turn.until > now:
                    self._timer = asyncio.get_running_loop().call_later(min(turn.until - now, 1.0), self._serve)
                break
            self._idle.pop()
            self._until[worker] = now + turn.job.option.latency * self.scheduler.options.factor
            task = asyncio.get_running_loop().create_task(self._run(worker, turn.job))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, worker: Worker, job: Job) -> None:
        """Run a batch, and let the worker be free again."""
        loop, asked = asyncio.get_running_loop(), [self._asked.get(request.id) for request in job.requests]
        # Whoever has gone away in between needs no answer.
        parts = [one for one in asked if one is not None]
        begin = self._clock()
        hangs = loop.call_later(self._until[worker] - begin + _PATIENCE, worker.interrupt)
        try:
            if parts:
                images = [one.images for one in parts]
                logits = await loop.run_in_executor(self._threads, _run_on, worker, job.option.stitch, images)
                took = self._clock() - begin
                self._correction.observe(job.option.latency, took, begin + took)
                self._answer(parts, job, logits, begin, took)
        except WorkerLostError as error:
            hangs.cancel()
            for one in parts:
                self._once_more(one, error)
            self._serve()
            await self._restart(worker)
        except Exception as error:  # a worker of the user's own may raise anything, and nobody may wait for ever
            told = isinstance(error, EngineError)
            why = str(error) if told else f"The worker failed: {type(error).__name__}: {error}"
            for one in parts:
                self._end(one.request, "failed", FailedError(why))
        finally:
            hangs.cancel()
            self._until.pop(worker, None)
            self._idle.append(worker)
            self._serve()

    async def _restart(self, worker: Worker) -> None:
        loop = asyncio.get_running_loop()
        while self._asked or not self._closing:
            try:
                await loop.run_in_executor(self._threads, worker.restart)
                break
            except EngineError as error:
                _LOG.error("a worker cannot be replaced, it is tried again: %s", error)
                await asyncio.sleep(_SOON)

    def _answer(self, parts: Sequence[_Asked], job: Job, logits: Images, begin: float, took: float) -> None:
        start, option = 0, job.option
        for one in parts:
            stop, waited = start + one.request.size, begin - one.request.arrival
            part = logits[start:stop]
            found = Answered(part, option.stitch, option.score, len(logits), 1e3 * waited, 1e3 * took)
            start = stop
            facts = {"stitch": option.stitch, "batch": len(logits), "score": option.score}
            if not one.answer.done():
                self._tell(one.request, "answered", **facts, queue_seconds=waited, compute_seconds=took)
                one.answer.set_result(found)

    def _once_more(self, one: _Asked, error: WorkerLostError) -> None:
        """Let a request wait again whose worker was lost, if it has not been run twice and there is time."""
        one.runs, now = one.runs + error.began, self._clock()
        if one.runs > 1:
            self._end(one.request, "failed", FailedError(str(error)))
        elif not one.answer.done() and not self.scheduler.offer(one.request, now, self._state(now)):
            self._end(one.request, "expired", ExpiredError(f"{error} No time was left for another."))

    def _end(self, request: Request, status: Status, error: Exception) -> None:
        one = self._asked.get(request.id)
        if one is not None and not one.answer.done():
            self._tell(request, status)
            one.answer.set_exception(error)

    def _tell(self, request: Request, status: Status, **facts: Any) -> None:
        now = self._clock()
        in_time = status == "answered" and now <= request.deadline
        self.scheduler.learn(status, in_time=in_time)
        self._hear(Outcome(request.id, status, now, in_time, **{"queue_seconds": now - request.arrival, **facts}))

    def _retry_after(self, now: float) -> float:
        """Return seconds until what runs and waits now will be over, as far as one can tell."""
        left = max((until - now for until in self._until.values()), default=0.0)
        each = self.scheduler.options.fastest / max(len(self.workers), 1)
        return max(_SOON, left + each * self.waiting)


def _run_on(worker: Worker, stitch: str, images: Sequence[Images]) -> Images:
    return worker.run(stitch, images[0] if len(images) == 1 else np.concatenate(images))
