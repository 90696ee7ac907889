"""What the front counts, for Prometheus."""

from dataclasses import replace
from math import isfinite
from time import perf_counter
from types import TracebackType
from typing import Protocol

from snnet.serving.front.asking import Answered, Answering, Asked, ExpiredError
from snnet.serving.front.faults import status_of
from snnet.utils import require

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
OUTCOMES = ("in_time", "late", "refused", "expired", "failed", "invalid", "cancelled")


class Gauges(Protocol):
    """What a service knows of itself at each moment."""

    @property
    def slo_ms(self) -> float:
        """Milliseconds that a request has which says nothing else; may change."""
        ...

    def queue_length(self) -> int:
        """Return how many requests wait."""
        ...

    def attainment(self) -> float:
        """Return the share of recent requests that were answered in time; NaN before there are any."""
        ...


class Metrics:
    """Counters and histograms in a registry of their own.

    Attributes:
        registry: That registry, of `prometheus_client`.
    """

    def __init__(self) -> None:
        client = require("prometheus_client", "serve")
        self.registry = client.CollectorRegistry()
        own = {"namespace": "snnet", "registry": self.registry}
        requests = client.Counter("requests", "Requests by what became of them.", ["outcome"], **own)
        self._outcomes = {outcome: requests.labels(outcome) for outcome in OUTCOMES}
        self._stitches = client.Counter("stitch_requests", "Requests by the stitch that answered.", ["stitch"], **own)
        self._latency = client.Histogram(
            "latency_seconds", "From the arrival of a request to its answer.", buckets=_SECONDS, **own
        )
        self._queue = client.Histogram("queue_seconds", "Time that requests waited.", buckets=_SECONDS, **own)
        self._compute = client.Histogram("compute_seconds", "Time that their batches ran.", buckets=_SECONDS, **own)
        self._batch = client.Histogram("batch_images", "Images that ran together.", buckets=_IMAGES, **own)
        self._score = client.Summary(
            "served_score", "Score of the stitches that answered, over requests answered in time.", **own
        )
        self._queue_length = client.Gauge("queue_length", "Requests that wait.", **own)
        self._attainment = client.Gauge(
            "slo_attainment_ratio", "Share of recent requests that were answered in time.", **own
        )
        self._gauges: Gauges | None = None

    def watch(self, gauges: Gauges) -> None:
        """Show what a service knows of itself, and judge by its SLO what says no deadline.

        Args:
            gauges: The service's side; asked each time that metrics are read.
        """
        self._queue_length.set_function(gauges.queue_length)
        self._attainment.set_function(gauges.attainment)
        self._gauges = gauges

    def call(self) -> "Call":
        """Return a context in which one request is handled, and counted when it ends."""
        return Call(self)

    def text(self) -> tuple[bytes, str]:
        """Return all of it in the text format of Prometheus, and the type of content that this is."""
        client = require("prometheus_client", "serve")
        return client.generate_latest(self.registry), client.CONTENT_TYPE_LATEST

    def _count(self, outcome: str) -> None:
        self._outcomes[outcome].inc()

    def _answered(self, asked: Asked, answered: Answered, seconds: float) -> str:
        """Count an answer, and return its outcome; without a deadline and an SLO nothing is late."""
        self._latency.observe(seconds)
        self._queue.observe(answered.queue_ms / 1e3)
        self._compute.observe(answered.compute_ms / 1e3)
        self._batch.observe(answered.batch)
        self._stitches.labels(answered.stitch).inc()
        slo_ms = None if self._gauges is None else self._gauges.slo_ms
        deadline_ms = slo_ms if asked.deadline_ms is None else asked.deadline_ms
        if deadline_ms is not None and seconds * 1e3 > deadline_ms:
            return "late"
        if isfinite(answered.score):
            self._score.observe(answered.score)
        return "in_time"


class Call:
    """One request, from its arrival to its answer."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._outcome: str | None = None

    def __enter__(self) -> "Call":
        self._began = perf_counter()
        return self

    async def ask(self, service: Answering, asked: Asked) -> Answered:
        """Return what a service answers.

        Args:
            service: What is asked.
            asked: What it is asked; what has passed since the request arrived is taken off its deadline.

        Raises:
            ExpiredError: If nothing is left of it.
        """
        left = asked
        if asked.deadline_ms is not None:
            passed_ms = (perf_counter() - self._began) * 1e3
            if passed_ms >= asked.deadline_ms:
                raise ExpiredError(
                    f"Reading the request took {passed_ms:.1f} ms, and its deadline is {asked.deadline_ms:g} ms; give "
                    "a later one, or send less."
                )
            left = replace(asked, deadline_ms=asked.deadline_ms - passed_ms)
        answered = await service.ask(left)
        self._outcome = self._metrics._answered(asked, answered, perf_counter() - self._began)
        return answered

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._outcome = status_of(error).outcome if isinstance(error, Exception) else "cancelled"
        assert self._outcome is not None, "a request was handled without asking the service"
        self._metrics._count(self._outcome)
