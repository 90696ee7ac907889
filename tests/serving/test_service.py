import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from snnet.errors import BudgetError, CheckpointError, DataError, EngineError
from snnet.network import SNNet
from snnet.serving.front.asking import Asked, RefusedError
from snnet.serving.opening import ServiceSettings
from snnet.serving.service import Service
from snnet.table import LATENCY, StitchTable
from tests.serving.test_workers import pixels

LENIENT = ServiceSettings(slo_ms=2000, max_batch=4)


def saved(net: SNNet, place: Path) -> Path:
    net.save_pretrained(place)
    return place


def using(service: Service, work: Callable[[Service], Coroutine[Any, Any, Any]]) -> Any:
    async def main() -> Any:
        try:
            return await work(service)
        finally:
            await service.close()

    return asyncio.run(main())


def test_a_saved_network_is_measured_once_and_answers(small_net: SNNet, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    place = saved(small_net, tmp_path / "net")
    service = Service.open(place, LENIENT, progress=lambda *one: told.append(one))
    assert (service.name, service.version, service.size, service.class_count) == ("net", "1", (1, 28, 28), 10)
    assert service.classes == small_net.classes and service.largest == 4
    best = small_net.space[-1].id
    assert [row.stitch for row in service.table][-1] == best
    assert told[-1][0] == told[-1][1] == 3 * len(service.table), "in rounds"
    answer = using(service, lambda one: one.ask(Asked(pixels(3))))
    assert answer.stitch == best and service.attainment() == 1.0 and service.queue_length() == 0
    assert service.history.served_accuracy() == service.table[best].top1
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(answer.logits), small_net(torch.from_numpy(pixels(3)), best))
    kept = StitchTable.load(place / "serving.jsonl")
    again = Service.open(place, LENIENT, progress=lambda *_: pytest.fail("measured twice"))
    assert [row.values[LATENCY] for row in again.table] == [row.values[LATENCY] for row in kept]
    using(again, lambda one: asyncio.sleep(0))
    # Under other conditions it is measured anew.
    told.clear()
    other = LENIENT.model_copy(update={"threads": 2})
    using(Service.open(place, other, progress=lambda *one: told.append(one)), lambda one: asyncio.sleep(0))
    assert told


def test_latencies_of_another_profile_are_no_options(
    small_net: SNNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert small_net.table is not None
    other = small_net.table.with_column("latency_ms@3", {row.stitch: 0.001 for row in small_net.table})
    monkeypatch.setattr(small_net, "table", other)
    service = Service.open(saved(small_net, tmp_path / "net"), LENIENT)
    assert "latency_ms@3" not in service.table.columns and "latency_ms@4" in service.table.columns
    using(service, lambda one: asyncio.sleep(0))


def test_requests_that_cannot_be_are_refused(small_net: SNNet, tmp_path: Path) -> None:
    service = Service.open(saved(small_net, tmp_path / "net"), LENIENT)

    async def work(one: Service) -> None:
        for images in (pixels(1)[0], pixels(1)[:, :, :14], pixels(1).astype(np.float64)):
            with pytest.raises(DataError, match=r"accepted: float32 \(N, 1, 28, 28\)"):
                await one.ask(Asked(images))
        with pytest.raises(RefusedError, match="No stitch answers"):
            await one.ask(Asked(pixels(1), deadline_ms=2.001))
        picture = Image.new("L", (60, 40), 128)
        assert one.transform(picture).shape == (1, 28, 28)
        closing = asyncio.ensure_future(one.close())
        await asyncio.sleep(0)
        with pytest.raises(RefusedError, match="going down"):
            await one.ask(Asked(pixels(1)))
        await closing

    using(service, work)
    assert not service.ready


@pytest.mark.parametrize("processes", [False, True])
def test_a_bundle_is_served_by_threads_or_processes(written: Path, tmp_path: Path, processes: bool) -> None:
    place = Path(shutil.copytree(written, tmp_path / "bundle"))
    settings = LENIENT.model_copy(update={"processes": processes, "workers": 2})
    service = Service.open(place, settings)

    async def work(one: Service) -> list[Any]:
        return await asyncio.gather(*(one.ask(Asked(pixels(2))) for _ in range(8)))

    answers = using(service, work)
    assert len({answer.stitch for answer in answers}) == 1
    for answer in answers:
        np.testing.assert_allclose(answer.logits, answers[0].logits, rtol=1e-5, atol=1e-5)


def test_a_new_version_takes_over_and_nothing_is_lost(small_net: SNNet, tmp_path: Path) -> None:
    place = saved(small_net, tmp_path / "net")
    service = Service.open(place, LENIENT)

    async def work(one: Service) -> tuple[list[Any], str]:
        asked: list[Any] = []
        using_new = asyncio.ensure_future(one.use())
        while not using_new.done():
            asked.append(asyncio.ensure_future(one.ask(Asked(pixels(1)))))
            await asyncio.sleep(0.005)
        (tmp_path / "bad").mkdir()
        with pytest.raises(CheckpointError):
            await one.use(tmp_path / "bad")
        assert one.version == "2"
        return await asyncio.gather(*asked), await using_new

    answers, version = using(service, work)
    assert version == "2" and len(answers) > 1
    assert len({answer.stitch for answer in answers}) == 1


def test_the_slo_changes_and_a_new_version_keeps_it(
    small_net: SNNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service.open(saved(small_net, tmp_path / "net"), LENIENT)
    seconds = list[float]()

    async def work(one: Service) -> None:
        asks = one.dispatcher.ask
        monkeypatch.setattr(one.dispatcher, "ask", lambda asked, wanted: seconds.append(wanted) or asks(asked, wanted))
        policy: Any = one.dispatcher.scheduler.policy
        solved = len(policy.plans.known())
        await one.set_slo(8000)
        assert len(policy.plans.known()) > solved, "decisions do not wait for it, nor make do without it"
        await one.ask(Asked(pixels(1)))
        await one.ask(Asked(pixels(1), deadline_ms=4000))
        for wrong in (2.0, -1.0, 1e9, float("nan")):
            with pytest.raises(BudgetError, match=r"slo_ms is .*; accepted: more than 2, which transport takes"):
                await one.set_slo(wrong)
        await one.use()
        assert one.slo_ms == one.live()["slo_ms"] == 8000

    using(service, work)
    assert seconds == [pytest.approx(7.998), pytest.approx(3.998)]


def test_versions_follow_each_other_and_none_outlives_the_service(small_net: SNNet, tmp_path: Path) -> None:
    service = Service.open(saved(small_net, tmp_path / "net"), LENIENT)

    async def work(one: Service) -> list[Any]:
        changes = [asyncio.ensure_future(one.use()) for _ in range(2)]
        numbers = await asyncio.gather(*changes)
        last = asyncio.ensure_future(one.use())
        await asyncio.sleep(0.01)
        await one.close()
        with pytest.raises(EngineError, match="going down"):
            await last
        return numbers

    assert using(service, work) == ["2", "3"] and service.version == "3"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"processes": True}, "Processes run a bundle"),
        ({"policy": "elastik"}, "elastic"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    small_net: SNNet, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(Exception, match=words):
        Service.open(saved(small_net, tmp_path / "net"), LENIENT.model_copy(update=change))


def test_a_network_without_scores_is_refused(small_net: SNNet, tmp_path: Path) -> None:
    place = saved(small_net, tmp_path / "net")
    (place / "table.jsonl").unlink()
    with pytest.raises(BudgetError, match=r"does not say how good its stitches are; `snnet evaluate"):
        Service.open(place, LENIENT)


def test_stitches_that_were_scored_in_bf16_answer_too(small_net: SNNet, tmp_path: Path) -> None:
    place = saved(small_net, tmp_path / "net")
    own = StitchTable.load(place / "table.jsonl")
    scored = own.where(lambda row: row.index > 0).with_values(lambda row: {**row.values, "top1": row.top1 - 0.5})
    scored.save(place / "table.bf16.jsonl")
    service = Service.open(place, LENIENT)
    names = [row.stitch for row in service.table]
    best = small_net.space[-1].id
    assert best in names and f"{best}@bf16" in names and not names[0].endswith("@bf16")
    assert all(LATENCY in row.values for row in service.table)
    assert set(service.dispatcher.scheduler.options.stitches) <= set(names)
    asked = [Asked(pixels(2), stitch=name) for name in (f"{best}@bf16", best)]

    async def both(one: Service) -> list[Any]:
        return [await one.ask(each) for each in asked]

    half, whole = using(service, both)
    assert (half.stitch, half.score) == (f"{best}@bf16", own[best].top1 - 0.5) and whole.stitch == best
    assert half.logits.dtype == np.float32 and 0 < np.abs(half.logits - whole.logits).max() < 0.1
    # What was timed in another precision and not scored does not answer, and is no reason not to serve.
    own.with_values(lambda row: {"macs": row.macs, LATENCY: 1.0}).save(place / "table.fp16.jsonl")
    again = Service.open(place, LENIENT)
    assert {row.precision for row in again.table} == {"", "bf16"}
    using(again, lambda one: asyncio.sleep(0))
    plain = Service.open(place, LENIENT.model_copy(update={"precisions": ()}))
    assert [row.stitch for row in plain.table] == [name for name in names if "@" not in name]
    using(plain, lambda one: asyncio.sleep(0))
    with pytest.raises(BudgetError, match=r"how good its stitches are in int8; `snnet evaluate \S+ --precision int8`"):
        Service.open(place, LENIENT.model_copy(update={"precisions": ("int8",)}))


def test_worker_processes_are_served_without_torch(written: Path) -> None:
    script = f"""
import asyncio, sys
from snnet.serving import Asked, Service, ServiceSettings
import numpy as np

async def main():
    service = Service.open({str(written)!r}, ServiceSettings(slo_ms=5000, max_batch=2, processes=True))
    answer = await service.ask(Asked(np.zeros((1, 1, 28, 28), np.float32)))
    await service.close()
    print(answer.logits.shape, sorted({{"torch", "timm"}} & sys.modules.keys()))

if __name__ == "__main__":
    asyncio.run(main())
"""
    (file := written.parent / "served.py").write_text(script)
    found = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False)
    assert found.stdout == "(1, 10) []\n", found.stderr
