"""Queue and policy together: what comes in, what leaves without an answer, and what a free worker runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from snnet.errors import BudgetError
from snnet.serving.correction import reserve_after
from snnet.serving.options import Option, Options
from snnet.serving.plans import Plans
from snnet.serving.policy import POLICIES, Drop, Policy, Run, Wait, Workers
from snnet.serving.queue import DeadlineQueue, Summary
from snnet.serving.request import Request, Status
from snnet.utils import counted

PolicyLike: TypeAlias = str | Callable[[Options], Policy]
"""A name in `POLICIES`, or what makes a policy of options: a class, or a function that gives it settings."""
# Callers choose their wishes, and could fill the memory with policies.
_KEPT = 64
_ONE = Workers()
# Share of the latest so many requests that could not be in time, above which overload is no burst.
_LASTING, _OFFERS = 0.3, 500


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker runs.

    Attributes:
        requests: Those that it answers, the most urgent first.
        option: The stitch, and how many images it answers.
        row: Its row in the options that the policy chose among.
        loading: Seconds of loading before, where a worker holds one model at a time.
    """

    requests: list[Request]
    option: Option
    row: int
    loading: float = 0.0


@dataclass(slots=True)
class Turn:
    """What a free worker is told.

    Attributes:
        job: What to run; None if nothing.
        until: If nothing, when to ask again at the latest, in seconds.
        expired: Requests that left the queue without an answer.
    """

    job: Job | None = None
    until: float = float("inf")
    expired: list[Request] = field(default_factory=list)


class Scheduler:
    """Holds the requests that wait and asks the policy; the server and the simulator run this very object.

    It reads no clock. Safe to use from several threads, except that one at a time may ask for a turn.

    Args:
        options: What can be done.
        policy: What decides.
        queue: Where requests wait.
        plans: Where policies have worked out what takes long; at once by default, while a turn waits.

    Attributes:
        reserve: Share of the time that a request needs behind what waits that it must have to spare where that counts.
    """

    def __init__(
        self,
        options: Options,
        policy: PolicyLike = "elastic",
        *,
        queue: DeadlineQueue | None = None,
        plans: Plans | None = None,
    ) -> None:
        self.options, self._plans = options, Plans() if plans is None else plans
        self.reserve = self._pressure = 0.0
        self.queue = queue if queue is not None else DeadlineQueue()
        self._make = POLICIES.get(policy) if isinstance(policy, str) else policy
        self._main = self._made(options)
        self._policies: dict[tuple[str, tuple[tuple[str, float], ...]], Policy] = {}

    @property
    def policy(self) -> Policy:
        """What decides about requests without wishes of their own."""
        return self._main

    def prepare(self, allowance: float, workers: int) -> None:
        """Have the policy work out beforehand what would hold up its decisions: a second or a few, before serving.

        Args:
            allowance: Seconds that most requests will have between arrival and deadline.
            workers: How many workers there will be.
        """
        self.policy.prepare(allowance, workers)

    def close(self) -> None:
        """Have nothing more worked out."""
        self._plans.close()

    def offer(self, request: Request, now: float, workers: Workers = _ONE) -> bool:
        """Let a request wait; return whether it may.

        It may not if all is full, or if no option can answer it in time. In lasting overload, in which many could not,
        it may neither if it would be late behind what waits, be all of that answered by the quickest stitch: then
        nothing is lost by letting fewer wait. A burst is over sooner, and what waits may go otherwise than one thinks.

        Args:
            request: What came.
            now: Seconds of the clock of its deadline.
            workers: The workers, of which none need be free.

        Raises:
            BudgetError: If no stitch is what it asks for.
        """
        options = self._policy(request.stitch, request.limits).options
        if request.size < 1:
            raise BudgetError(f"The size of request {request.id!r} is {request.size}; accepted: 1 image and more.")
        if now + options.soonest(request.size) > request.deadline:
            return False
        # Of several workers each answers its share.
        images = self.queue.before(request) // workers.count + request.size
        needed = workers.backlog / workers.count + self.options.soonest_of_all(images)
        too_late = now + needed * (1 + self.reserve) > request.deadline
        self._pressure += (too_late - self._pressure) / _OFFERS
        if too_late and self._pressure > _LASTING:
            return False
        return self.queue.put(request)

    def learn(self, status: Status, *, in_time: bool) -> None:
        """Take account of what became of a request that was let in: what a burst costs is no reason to let fewer in.

        Args:
            status: What became of it.
            in_time: Whether it was answered in time.
        """
        if in_time or self._pressure > _LASTING:
            self.reserve = reserve_after(self.reserve, status, in_time=in_time)

    def why_not(self, request: Request) -> str:
        """Return why a request may not wait.

        Args:
            request: One that was offered just now.
        """
        queue, options = self.queue, self.options
        if len(queue) >= queue.bound:
            return f"{len(queue):,} requests wait, and no more may; ask again later."
        soonest, seconds = options.soonest(request.size), request.deadline - request.arrival
        if soonest == float("inf"):
            return f"The request has {request.size} images; accepted: up to {options.max_batch}."
        if soonest <= seconds:
            return (
                f"{counted(queue.before(request), 'image')} before this request: not even the quickest stitch answers "
                f"all within {1e3 * seconds:.3g} ms. Ask again later, or give a later deadline (deadline_ms)."
            )
        return (
            f"No stitch answers {request.size} images within {1e3 * seconds:.3g} ms; the quickest takes "
            f"{1e3 * soonest:.3g} ms now. Give a later deadline (deadline_ms)."
        )

    def turn(self, now: float, workers: Workers) -> Turn:
        """Return what a worker that is free now does, and which requests have expired.

        Args:
            now: Seconds of the clock of deadlines.
            workers: The workers, of which at least one is free.
        """
        turn = Turn(expired=self.queue.expire(now + self.options.fastest))
        while (waiting := self.queue.summary(now)) is not None:
            policy = self._policy(*waiting.lane[1:])
            decision = policy.decide(waiting, now, workers)
            if isinstance(decision, Wait):
                turn.until = decision.until
                break
            if isinstance(decision, Drop):
                turn.expired += self.queue.take(waiting.lane, decision.images)
                continue
            turn.job = self._job(policy, decision, waiting, workers, turn)
            break
        return turn

    def _job(self, policy: Policy, run: Run, waiting: Summary, workers: Workers, turn: Turn) -> Job:
        if run.drop:
            turn.expired += self.queue.take(waiting.lane, run.drop)
        requests = self.queue.take(waiting.lane, run.images)
        images = sum([request.size for request in requests])
        option = policy.options.at(run.row, images)
        return Job(requests, option, run.row, policy.loading_seconds(workers.loaded, run.row) if policy.swaps else 0.0)

    def _policy(self, stitch: str, limits: tuple[tuple[str, float], ...]) -> Policy:
        """Return what decides about requests with the same wishes."""
        if not stitch and not limits:
            return self._main
        found = self._policies.get((stitch, limits))
        if found is None:
            found = self._made(self.options.within(stitch, limits))
            if len(self._policies) >= _KEPT:
                del self._policies[next(iter(self._policies))]
            self._policies[stitch, limits] = found
        return found

    def _made(self, options: Options) -> Policy:
        policy = self._make(options)
        policy.plans = self._plans
        return policy
