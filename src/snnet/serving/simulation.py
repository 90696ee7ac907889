"""A service in virtual time: the scheduler of the server against latencies that are known, and arrivals of a trace."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snnet.errors import BudgetError
from snnet.serving.options import Options
from snnet.serving.policy import Workers
from snnet.serving.queue import DeadlineQueue
from snnet.serving.request import Request
from snnet.serving.scheduler import Job, PolicyLike, Scheduler

WAITING, ANSWERED, LATE, REFUSED, EXPIRED = range(5)
_QUANTILE_95 = 1.6449


@dataclass(frozen=True)
class Simulation:
    """What became of every request of a trace.

    Attributes:
        status: `ANSWERED` (in time), `LATE` (answered late), `REFUSED` or `EXPIRED`, for each request `(N,)`.
        rows: Row of the options that answered, -1 where none did `(N,)`.
        batches: Images that were run together, 0 where none were `(N,)`.
        arrivals: When it came, in seconds `(N,)`.
        starts: When its batch began, NaN where it did not `(N,)`.
        finishes: When its batch was over, NaN where there was none `(N,)`.
        options: What could be done.
        turns: How often a policy was asked.
    """

    status: NDArray[np.int8]
    rows: NDArray[np.int32]
    batches: NDArray[np.int32]
    arrivals: NDArray[np.float64]
    starts: NDArray[np.float64]
    finishes: NDArray[np.float64]
    options: Options
    turns: int

    @property
    def in_time(self) -> NDArray[np.bool_]:
        """Whether each request was answered by its deadline `(N,)`."""
        found: NDArray[np.bool_] = self.status == ANSWERED
        return found

    @property
    def attainment(self) -> float:
        """Share of the requests that were answered by their deadlines."""
        return float(self.in_time.mean())

    @property
    def served_accuracy(self) -> float:
        """Mean score of the stitches that answered, over requests answered in time; NaN if there is none."""
        rows = self.rows[self.in_time]
        return float(self.options.scores[rows].mean()) if len(rows) else float("nan")

    @property
    def value(self) -> float:
        """Mean over all requests of the score of the stitch that answered in time, 0 where none did."""
        return float(self.options.scores[self.rows[self.in_time]].sum()) / len(self.status)

    @property
    def goodput(self) -> float:
        """Requests answered in time, per second from the first arrival to the last answer."""
        ends = self.finishes[np.isfinite(self.finishes)]
        span = max(ends.max() if len(ends) else 0.0, self.arrivals[-1]) - self.arrivals[0]
        return float(self.in_time.sum() / span) if span > 0 else float("inf")

    def latency(self, *quantiles: float) -> list[float]:
        """Return quantiles of the seconds between arrival and answer; `quantiles` are such as 0.5 and 0.99."""
        seconds = (self.finishes - self.arrivals)[np.isfinite(self.finishes)]
        return (
            [float(value) for value in np.quantile(seconds, quantiles)]
            if len(seconds)
            else [float("nan")] * len(quantiles)
        )

    def stitches(self) -> dict[str, int]:
        """Return how many requests each stitch answered in time, the best stitch last."""
        counts = np.bincount(self.rows[self.in_time], minlength=len(self.options))
        return {name: int(count) for name, count in zip(self.options.stitches, counts, strict=True) if count}


def simulate(
    trace: Sequence[float] | NDArray[np.float64],
    options: Options,
    policy: PolicyLike = "elastic",
    *,
    slo_ms: float | NDArray[np.float64],
    workers: int = 1,
    noise: float = 0.0,
    seed: int = 0,
    bound: int = 100_000,
    images: int = 1,
) -> Simulation:
    """Run a service in virtual time.

    Args:
        trace: When requests arrive, in seconds, in order.
        options: What can be done, and how long it takes.
        policy: What decides: a name in `POLICIES`, or what makes a policy of options.
        slo_ms: Milliseconds from arrival to deadline, one number or one for each request.
        workers: How many batches can run at once.
        noise: Standard deviation of the logarithm of what a call takes; the latency of its option is then the 95th
            percentile, as in a profile. 0: it takes exactly that.
        seed: Of the noise.
        bound: Requests that may wait at once.
        images: Of each request.

    Returns:
        What became of every request.

    Raises:
        BudgetError: If there is no request or no worker.

    Example:
        >>> simulate(gamma_arrivals(rate=200, count=10_000, cv2=4), Options.of(net.table), slo_ms=50).attainment
    """
    arrivals = np.asarray(trace, float)
    if not len(arrivals) or workers < 1 or (np.diff(arrivals) < 0).any():
        raise BudgetError(f"{len(arrivals)} requests and {workers} workers; accepted: 1 and more, arrivals in order.")
    run = _Run(arrivals, arrivals + np.broadcast_to(np.asarray(slo_ms, float) / 1e3, arrivals.shape), workers, images)
    run.scheduler = Scheduler(options, policy, queue=DeadlineQueue(bound))
    run.noise, run.random = noise, np.random.default_rng(seed)
    run.go()
    return Simulation(
        run.status, run.rows, run.batches, arrivals, run.starts, run.finishes, run.scheduler.policy.options, run.turns
    )


class _Run:
    """The state of a simulation."""

    scheduler: Scheduler
    noise: float
    random: np.random.Generator

    def __init__(self, arrivals: NDArray[np.float64], deadlines: NDArray[np.float64], workers: int, size: int) -> None:
        self.arrivals, self.deadlines = arrivals.tolist(), deadlines.tolist()
        count = len(arrivals)
        self.status = np.full(count, WAITING, np.int8)
        self.rows, self.batches = np.full(count, -1, np.int32), np.zeros(count, np.int32)
        self.starts, self.finishes = np.full(count, np.nan), np.full(count, np.nan)
        self.workers, self.size = workers, size
        self.idle = list(range(workers))
        self.loaded = [""] * workers
        # When the others will be free as far as the policy is told, which knows the options and not the noise.
        self.busy: list[tuple[float, int, float]] = []
        self.promised = 0.0
        self.turns = 0

    def go(self) -> None:
        """Take one event after the other: requests that arrive, workers that get free, and times to ask again."""
        place, count, now, wake = 0, len(self.arrivals), 0.0, float("inf")
        queue = self.scheduler.queue
        while place < count or len(queue):
            free = self.busy[0][0] if self.busy else float("inf")
            arrival = self.arrivals[place] if place < count else float("inf")
            now = max(now, min(arrival, free, wake))
            if now == float("inf"):
                self._lose(queue.drain())
                break
            while self.busy and self.busy[0][0] <= now:
                _, worker, promised = heapq.heappop(self.busy)
                self.promised -= promised
                self.idle.append(worker)
            while place < count and self.arrivals[place] <= now:
                self._arrive(place, now)
                place += 1
            wake = self._serve(now)

    def _arrive(self, place: int, now: float) -> None:
        request = Request(place, self.arrivals[place], self.deadlines[place], self.size)
        if not self.scheduler.offer(request, now, self._state(now)):
            self.status[place] = REFUSED

    def _serve(self, now: float) -> float:
        """Give free workers what they run now; return when they want to be asked again."""
        queue = self.scheduler.queue
        while self.idle and len(queue):
            turn = self.scheduler.turn(now, self._state(now, self.loaded[self.idle[-1]]))
            self.turns += 1
            if turn.expired:
                self._lose(turn.expired)
            if turn.job is None:
                if len(queue):
                    return turn.until if turn.until > now else float("inf")
                break
            self._start(turn.job, now)
        return float("inf")

    def _state(self, now: float, loaded: str = "") -> Workers:
        return Workers(self.workers, len(self.idle), max(0.0, self.promised - len(self.busy) * now), loaded)

    def _start(self, job: Job, now: float) -> None:
        worker = self.idle.pop()
        expected = job.option.latency + job.loading
        taken = expected
        if self.noise:
            taken = job.loading + job.option.latency * float(
                np.exp(self.noise * (self.random.standard_normal() - _QUANTILE_95))
            )
        end = now + taken
        heapq.heappush(self.busy, (end, worker, now + expected))
        self.promised += now + expected
        self.loaded[worker] = job.option.stitch
        for request in job.requests:
            place = int(request.id)
            self.status[place] = ANSWERED if end <= request.deadline + 1e-9 else LATE
            self.rows[place], self.batches[place] = job.row, job.option.batch
            self.starts[place], self.finishes[place] = now, end

    def _lose(self, requests: Sequence[Request]) -> None:
        for request in requests:
            self.status[int(request.id)] = EXPIRED
