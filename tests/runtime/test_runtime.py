"""A runtime answers at once by what is ready, and makes ready in the background."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch

from snnet.errors import BudgetError, EngineError, SpaceError, TableError
from snnet.network import SNNet, StitchLike
from snnet.runtime import Governor, Runtime, Switch
from snnet.runtime.engines import EagerEngine, Ready
from snnet.space import Stitch
from snnet.table import StitchRow, StitchTable
from snnet.utils import Machine
from tests.runtime.conftest import WatchedEngine


@pytest.fixture
def images(net: SNNet) -> torch.Tensor:
    return torch.randn(1, *net.input.size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_best_within_limits_answers(net: SNNet, images: torch.Tensor) -> None:
    with Runtime(net) as runtime:
        runtime.wait_ready()
        for number in (0, 4, len(net.space) - 1):
            answer = runtime.run(images, latency_ms=number + 1.5)
            assert answer.stitch == answer.wanted == net.space[number]
            torch.testing.assert_close(answer.logits, net(images, number))
        assert runtime.choose(macs=350, latency_ms=10) == net.space[2]
        torch.testing.assert_close(runtime(images, stitch=3), net(images, 3))
        assert len(runtime.ready) == len(runtime.stitches) == len(net.space)


def test_until_the_wanted_one_is_ready_the_best_ready_one_answers(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net)
    engine.gate.clear()
    with Runtime(net, engine) as runtime:
        answer = runtime.run(images, latency_ms=6)
        assert (answer.stitch, answer.wanted) == (net.space[0], net.space[5])
        assert runtime.counters().substituted == 1
        engine.gate.set()
        runtime.wait_ready()
        assert runtime.run(images, latency_ms=6).stitch == net.space[5]
        # What was asked for came before what only fills, of which the first may have been in work already.
        assert net.space[5] in [route for route, _ in engine.loads[1:3]]
        assert len(engine.loads) == len(set(engine.loads)) == len(net.space)


def test_who_waits_is_told_how_many_are_ready(net: SNNet) -> None:
    told: list[tuple[int, int, str]] = []
    with Runtime(net) as runtime:
        runtime.wait_ready(progress=lambda *step: told.append(step))
        assert told[-1] == (len(net.space), len(net.space), "")
        runtime.wait_ready(timeout=0)


def test_nothing_is_built_by_those_who_ask(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net)
    with Runtime(net, engine, max_ready=3) as runtime, ThreadPoolExecutor(4) as pool:
        runtime.wait_ready()
        answers = list(pool.map(lambda n: runtime.run(images, latency_ms=1 + n % 8), range(200)))
        runtime.wait_ready()
    assert all(net.table[answer.stitch].latency_ms <= 1 + n % 8 for n, answer in enumerate(answers))
    assert engine.loads[0] == (net.space[0], threading.main_thread().name)
    assert {name for _, name in engine.loads[1:]} == {"snnet-runtime-build"}


def test_a_stitch_by_name(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net)
    engine.gate.clear()
    with Runtime(net, engine) as runtime:
        with pytest.raises(EngineError, match=rf"Stitch {net.space[7]} is not ready.*wait=True"):
            runtime(images, stitch=7)
        with pytest.raises(BudgetError, match=r"A stitch and limits \(macs\)"):
            runtime(images, stitch=7, macs=3)
        with pytest.raises(SpaceError):
            runtime(images, stitch=10_000)
        threading.Timer(0.05, engine.gate.set).start()
        assert runtime.run(images, stitch=7, wait=True).stitch == net.space[7]


def test_memory_is_bounded_and_the_least_used_goes(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net)
    with Runtime(net, engine, max_ready=3) as runtime:
        runtime.wait_ready()
        assert runtime.ready == (net.space[0], net.space[len(net.space) - 1], net.space[(len(net.space) - 1) // 2])
        runtime(images)  # the dearest is used, so the one in the middle goes
        runtime.prepare(5)
        runtime.wait_ready()
        assert set(runtime.ready) == {net.space[0], net.space[len(net.space) - 1], net.space[5]}
        assert engine.made[net.space[(len(net.space) - 1) // 2]].closed == 1
        assert runtime.counters().evicted == 1
    assert all(ready.closed == 1 for ready in engine.made.values())


def test_bytes_are_bounded(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net, nbytes=100)
    with Runtime(net, engine, max_bytes=450) as runtime:
        runtime.wait_ready()
        assert runtime.counters().nbytes == 400 and runtime.counters().evicted == 0
        runtime.prepare(1)
        runtime.wait_ready()
        assert net.space[1] in runtime.ready and runtime.counters().nbytes == 400
        engine.nbytes = 1000
        runtime.prepare(6)
        with pytest.raises(EngineError, match=r"takes 1,000 bytes, and max_bytes=450"):
            runtime.wait_ready()
        assert runtime.counters().nbytes == 400 and runtime.counters().evicted == 1
    with pytest.raises(EngineError, match="takes 1,000 bytes"):
        Runtime(net, WatchedEngine(net, nbytes=1000), max_bytes=450)


def test_what_can_never_fit_takes_nobodys_place(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net, nbytes=100)
    with Runtime(net, engine, max_bytes=450) as runtime:
        runtime.wait_ready()
        before = runtime.ready
        engine.nbytes = 400
        runtime.prepare(next(route for route in net.space if route not in before))
        with pytest.raises(EngineError, match="max_bytes=450"):
            runtime.wait_ready()
        assert runtime.ready == before


def test_who_waits_for_what_fails_does_not_wait_for_the_others(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net)
    engine.failing.add(net.space[7])
    with Runtime(net, engine) as runtime, pytest.raises(EngineError, match=f"Stitch {net.space[7]} is not ready"):
        runtime(images, stitch=7, wait=True)


def test_a_stitch_in_use_outlives_its_place(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net)
    with Runtime(net, engine, max_ready=2) as runtime:
        runtime.wait_ready()
        ready = engine.made[runtime.ready[1]]
        inside, leave = threading.Event(), threading.Event()

        def during() -> None:
            inside.set()
            assert leave.wait(20)

        ready.during = during
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(runtime, images)
            assert inside.wait(20)
            runtime.prepare(3)
            runtime.wait_ready()
            assert net.space[3] in runtime.ready and not ready.closed
            leave.set()
            assert answer.result().shape == (1, 10)
        assert ready.closed == 1


def test_a_failure_is_told_and_others_answer(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net)
    engine.failing = {net.space[4]}
    with Runtime(net, engine) as runtime:
        with pytest.raises(EngineError, match=rf"1 stitch cannot be made ready, the first of them {net.space[4]}: no"):
            runtime.wait_ready()
        assert runtime.run(images, latency_ms=5).stitch == net.space[3]
        with pytest.raises(EngineError, match="is not ready: no such kernel"):
            runtime(images, stitch=4, wait=True)
        assert list(runtime.failures) == [net.space[4]] and runtime.counters().failed == 1
        engine.failing.clear()
        assert runtime.run(images, stitch=4, wait=True).stitch == net.space[4]


def test_switches_are_seen(net: SNNet, images: torch.Tensor) -> None:
    seen: list[Switch] = []
    with Runtime(net) as runtime:
        runtime.wait_ready()
        runtime.on_switch += [seen.append, lambda _: 1 / 0]
        for limit in (2, 2, 5, 5, 2):
            runtime(images, latency_ms=limit)
        counters = runtime.counters()
    assert [(s.before, s.after) for s in seen] == [
        (None, net.space[1]),
        (net.space[1], net.space[4]),
        (net.space[4], net.space[1]),
    ]
    assert seen[1].limits == {"latency_ms": 5} and seen[0].seconds <= seen[1].seconds
    assert (counters.calls, counters.switches) == (5, 2)
    assert counters.answers == {net.space[1]: 3, net.space[4]: 2}


def test_the_frontier_answers_unless_stitches_are_named(net: SNNet, images: torch.Tensor) -> None:
    net.table = net.table.with_column("top1", {net.space[3].id: 0.0})
    with Runtime(net) as runtime:
        assert net.space[3] not in runtime.stitches and len(runtime.stitches) == len(net.space) - 1
    with Runtime(net, stitches=[2, 3, net.space[5].id]) as runtime:
        assert runtime.stitches == (net.space[2], net.space[3], net.space[5])
        runtime.wait_ready()
        assert runtime.run(images, latency_ms=4).stitch == net.space[2]


def test_a_profile_lies_over_the_table(net: SNNet) -> None:
    assert net.table is not None
    profile = StitchTable(net.table.rows).without("top1", "macs")
    turned = profile.with_column("latency_ms", {row.stitch: 100.0 - row.index for row in profile})
    with Runtime(net, profile=turned, cost="latency_ms") as runtime:
        assert runtime.choose(latency_ms=95) == runtime.stitches[-1]
        assert runtime.menu.value(net.space[len(net.space) - 1], "latency_ms") == 101.0 - len(net.space)
    net.table = None
    with pytest.raises(BudgetError, match="no table to choose from"):
        Runtime(net)


def test_faults(net: SNNet, images: torch.Tensor) -> None:
    with pytest.raises(EngineError, match="max_ready is 1; accepted: 2 and more"):
        Runtime(net, max_ready=1)
    with Runtime(net) as runtime, pytest.raises(BudgetError, match=r"keeps latency_ms <= 0\.5"):
        runtime(images, latency_ms=0.5)


def test_a_batch_that_would_be_compiled_is_refused(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net, only_prepared=True)
    pair = torch.cat([images, images])
    with Runtime(net, engine, stitches=[0]) as runtime:
        with pytest.raises(EngineError, match=r"of shape \(2, 1, 28, 28\); batches of 1 run at once"):
            runtime(pair, macs=1000)
        assert runtime(images).shape == (1, 10)
    with Runtime(net, WatchedEngine(net, only_prepared=True), batch_sizes=(1, 2)) as runtime:
        assert runtime(pair, macs=1000).shape == (2, 10)


def test_a_profile_of_another_machine_leaves_none_of_our_latencies(net: SNNet) -> None:
    facts = {"machine": {"cpu": "another", "cores": 3}, "precision": "fp32", "network_precision": "fp32"}
    theirs = StitchTable([StitchRow(0, net.space[0].id, {"latency_ms": 100.0})], {"profile": facts})
    with Runtime(net, profile=theirs, any_machine=True) as runtime:
        assert runtime.choose(latency_ms=200) == net.space[0]
        with pytest.raises(BudgetError):
            runtime.choose(latency_ms=50)


def test_all_who_wait_get_an_answer_where_there_is_one_place_for_them(net: SNNet, images: torch.Tensor) -> None:
    class Named(Ready):
        def __init__(self, route: Stitch) -> None:
            self.number = net.space.index(route)

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            return images.new_full((1, 10), self.number)

    class NamingEngine(EagerEngine):
        def load(self, stitch: StitchLike) -> Ready:
            return Named(self.net.find(stitch))

    wanted = [1 + (7 * n) % (len(net.space) - 1) for n in range(1000)]
    with Runtime(net, NamingEngine(net), max_ready=2) as runtime, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda place: int(runtime(images, stitch=place, wait=True)[0, 0]), wanted))
        assert answers == wanted
        assert len(runtime.ready) <= 2


def test_who_waits_for_what_only_filled_gets_it(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net, nbytes=100)
    engine.gate.clear()
    with Runtime(net, engine, max_bytes=250) as runtime, ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(runtime.run, images, stitch=place, wait=True) for place in (22, 1, 2)]
        engine.gate.set()
        assert [answer.result(20).stitch for answer in answers] == [net.space[place] for place in (22, 1, 2)]


def calls(runtime: Runtime, images: torch.Tensor) -> list[Callable[[], object]]:
    return [
        lambda: runtime(images),
        lambda: runtime.run(images, latency_ms=3),
        lambda: runtime.run(images, stitch=1),
        lambda: runtime.run(images, stitch=1, wait=True),
        lambda: runtime.run_within(images, {}),
        runtime.choose,
        lambda: runtime.prepare(1),
        runtime.wait_ready,
        lambda: Governor(runtime, 3.0).run(images),
    ]


def test_a_closed_runtime_says_so(net: SNNet, images: torch.Tensor) -> None:
    runtime = Runtime(net, max_ready=2)
    runtime.close()
    runtime.close()
    for call in calls(runtime, images):
        with pytest.raises(EngineError, match="This runtime is closed"):
            call()
    assert runtime.counters().ready == runtime.ready == ()


def test_closing_does_not_wait_for_a_build(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net)
    engine.gate.clear()
    runtime = Runtime(net, engine, stitches=[0, 1, 2])
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(runtime.run, images, stitch=2, wait=True), pool.submit(runtime.wait_ready)]
        before = time.monotonic()
        runtime.close()
        assert time.monotonic() - before < 1.0
        for call in waiting:
            with pytest.raises(EngineError, match="This runtime is closed"):
                call.result(20)
    assert engine.made[net.space[0]].closed == 1
    engine.gate.set()
    runtime._shelf._thread.join(20)
    # What came too late was let go of at once, and nothing was begun any more.
    assert len(engine.made) == 2 and all(ready.closed == 1 for ready in engine.made.values())


def test_an_engine_of_the_runtimes_own_ends_after_the_last_build_and_call(
    net: SNNet, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(EagerEngine, "close", lambda _: told.append("engine"))
    runtime = Runtime(net)
    runtime.wait_ready()
    inside, leave = threading.Event(), threading.Event()
    runtime.on_switch.append(lambda _: (inside.set(), leave.wait(20), told.append("call")))
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(runtime, images)
        assert inside.wait(20)
        closing = pool.submit(runtime.close)
        with pytest.raises(TimeoutError):
            closing.result(0.1)
        leave.set()
        closing.result(1.0)
        assert answer.result().shape == (1, 10)
    assert told == ["call", "engine"]


def test_a_call_may_close_its_own_runtime(net: SNNet, images: torch.Tensor) -> None:
    engine = WatchedEngine(net)
    runtime = Runtime(net, engine)
    runtime.on_switch.append(lambda _: runtime.close())
    assert runtime(images).shape == (1, 10)
    with pytest.raises(EngineError, match="This runtime is closed"):
        runtime(images)
    runtime._shelf._thread.join(20)
    assert all(ready.closed == 1 for ready in engine.made.values())


def timed_on(net: SNNet, engine: str) -> StitchTable:
    assert net.table is not None
    here = {"machine": Machine.here().on().to_dict(), "precision": "fp32", "network_precision": "fp32"}
    return StitchTable(net.table, {"profile": {**here, "engine": engine}})


def test_a_profile_of_another_engine_is_refused_before_anything_is_built(net: SNNet) -> None:
    eager, net.table = net.table, timed_on(net, "compile")
    engine = WatchedEngine(net)
    for profile in (None, net.table):
        with pytest.raises(TableError, match=r"measured with the engine compile.*--engine eager.*cost='macs'"):
            Runtime(net, engine, profile=profile)
    assert not engine.loads
    with Runtime(net, engine, cost="macs") as runtime:
        runtime.wait_ready()
        assert runtime.choose(macs=250) == net.space[1]
        with pytest.raises(TableError, match="measured with the engine compile"):
            runtime.choose(latency_ms=3)
    with Runtime(net, profile=eager, any_machine=True) as runtime:
        assert runtime.cost == "latency_ms"


def test_what_takes_long_is_told_as_it_is_built(net: SNNet, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []

    @contextmanager
    def bar(title: str) -> Iterator[Callable[..., None]]:
        told.append(title)
        yield lambda *step: told.append(step)

    monkeypatch.setattr("snnet.utils.bars.bar", bar)
    monkeypatch.setattr("snnet.utils.progress.is_watched", lambda: True)
    with Runtime(net):
        assert not told
    monkeypatch.setattr(WatchedEngine, "builds", True)
    with Runtime(net, WatchedEngine(net)):
        note = f"{net.space[0]} on eager; the others follow in the background"
        assert told == ["Making the first stitch ready", (0, 1, note), (1, 1, note)]
