import asyncio
import math

import pytest

from snnet.errors import BudgetError
from snnet.serving import Asked, ExpiredError, FailedError, Metrics, RefusedError
from snnet.serving.front.faults import InvalidError
from tests.serving.front.service import IMAGES, FakeService

pytest.importorskip("prometheus_client", reason="the package prometheus-client is not installed")


class FakeGauges:
    slo_ms = 50.0

    def queue_length(self) -> int:
        return 7

    def attainment(self) -> float:
        return 0.875


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    found = metrics.registry.get_sample_value(f"snnet_{name}", labels)
    return None if found is None else float(found)


def ask(metrics: Metrics, service: FakeService, deadline_ms: float | None = None, wait: float = 0) -> None:
    async def asking() -> None:
        with metrics.call() as call:
            await asyncio.sleep(wait)
            await call.ask(service, Asked(IMAGES, deadline_ms=deadline_ms))

    asyncio.run(asking())


def test_an_answer_is_counted_with_all_that_is_known_of_it(service: FakeService) -> None:
    metrics = Metrics()
    ask(metrics, service, 1000)
    ask(metrics, service)
    assert value(metrics, "requests_total", outcome="in_time") == 2
    assert value(metrics, "stitch_requests_total", stitch="0:0-3") == 2
    assert value(metrics, "queue_seconds_sum") == pytest.approx(0.003)
    assert value(metrics, "compute_seconds_sum") == pytest.approx(0.005)
    assert value(metrics, "batch_images_sum") == 16 and value(metrics, "batch_images_bucket", le="8.0") == 2
    assert value(metrics, "served_score_sum") == 1.5 and value(metrics, "served_score_count") == 2
    assert value(metrics, "latency_seconds_count") == 2 and value(metrics, "latency_seconds_sum") < 1


class LateService(FakeService):
    async def ask(self, asked: Asked):  # type: ignore[no-untyped-def]
        await asyncio.sleep(0.02)
        return await super().ask(asked)


@pytest.mark.parametrize(("deadline_ms", "slo"), [(10, False), (10, True), (None, True)])
def test_an_answer_after_its_deadline_is_late_and_has_no_score(deadline_ms: float | None, slo: bool) -> None:
    metrics = Metrics()
    if slo:
        gauges = FakeGauges()
        gauges.slo_ms = 15.0 if deadline_ms is None else 1e6
        metrics.watch(gauges)
    ask(metrics, LateService(), deadline_ms)
    assert value(metrics, "requests_total", outcome="late") == 1
    assert value(metrics, "requests_total", outcome="in_time") == 0
    assert value(metrics, "served_score_count") == 0 and value(metrics, "latency_seconds_count") == 1


def test_the_slo_may_change() -> None:
    metrics, gauges = Metrics(), FakeGauges()
    metrics.watch(gauges)
    gauges.slo_ms = 1e6
    ask(metrics, LateService())
    gauges.slo_ms = 10
    ask(metrics, LateService())
    assert value(metrics, "requests_total", outcome="in_time") == value(metrics, "requests_total", outcome="late") == 1


def test_what_passed_before_is_off_the_deadline(service: FakeService) -> None:
    metrics = Metrics()
    ask(metrics, service, 1000, wait=0.03)
    assert 800 < service.asked[0].deadline_ms < 970
    with pytest.raises(ExpiredError, match="its deadline is 10 ms"):
        ask(metrics, service, 10, wait=0.03)
    assert len(service.asked) == 1 and value(metrics, "requests_total", outcome="expired") == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RefusedError("full"), "refused"),
        (ExpiredError("late"), "expired"),
        (FailedError("broken"), "failed"),
        (KeyError("ours"), "failed"),
        (BudgetError("none"), "invalid"),
        (InvalidError("wrong"), "invalid"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
def test_each_end_is_counted(service: FakeService, error: BaseException, outcome: str) -> None:
    metrics = Metrics()
    service.error = error
    with pytest.raises(type(error)):
        ask(metrics, service)
    counts = {name: value(metrics, "requests_total", outcome=name) for name in ("in_time", "late", outcome)}
    assert counts == {"in_time": 0, "late": 0, outcome: 1}
    assert value(metrics, "latency_seconds_count") == 0


def test_a_score_that_is_not_known_or_below_zero_is_no_fault(service: FakeService) -> None:
    metrics = Metrics()
    for service.score in (math.nan, -2.0):
        ask(metrics, service)
    assert value(metrics, "served_score_sum") == -2 and value(metrics, "requests_total", outcome="in_time") == 2


def test_what_the_service_knows_is_asked_each_time() -> None:
    metrics = Metrics()
    assert value(metrics, "queue_length") == 0
    metrics.watch(FakeGauges())
    assert value(metrics, "queue_length") == 7 and value(metrics, "slo_attainment_ratio") == 0.875


def test_the_text_is_that_of_prometheus(service: FakeService) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    metrics = Metrics()
    ask(metrics, service)
    text, kind = metrics.text()
    families = {family.name: family for family in parser.text_string_to_metric_families(text.decode())}
    assert kind.startswith("text/plain")
    assert {"requests", "latency_seconds", "slo_attainment_ratio"} <= {name.removeprefix("snnet_") for name in families}
    assert all(family.documentation.endswith(".") for name, family in families.items() if not name.endswith("_created"))


def test_metrics_of_two_services_are_apart(service: FakeService) -> None:
    first, second = Metrics(), Metrics()
    ask(first, service)
    assert value(first, "requests_total", outcome="in_time") == 1
    assert value(second, "requests_total", outcome="in_time") == 0
