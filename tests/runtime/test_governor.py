"""A governor goes down at once and up when it pays, and never asks for more than there is."""

import itertools
import random
import threading
import time
from statistics import quantiles

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnet.errors import BudgetError
from snnet.network import SNNet
from snnet.runtime import Deadline, Governor, Runtime, Setting
from snnet.runtime.menu import Menu
from snnet.table import StitchRow, StitchTable
from tests.runtime.conftest import WatchedEngine


class OnPaper:
    """What a governor asks a runtime for, without one: stitch n takes n + 1 ms."""

    batch_sizes = (1,)

    def __init__(self) -> None:
        rows = (StitchRow(n, f"0:0-{n + 1}", {"latency_ms": n + 1.0, "top1": float(n)}) for n in range(10))
        self.menu = Menu(StitchTable(rows))


def follow(budgets: list[float], *, step: float = 0.1, **settings: float) -> list[float]:
    """Return the limit in force at each of the budgets, one `step` of seconds after another."""
    clock, budget = itertools.count(), Setting(0.0)
    governor = Governor(OnPaper(), budget, clock=lambda: step * next(clock), **settings)  # type: ignore[arg-type]
    found = []
    for budget.value in budgets:
        found.append(governor.limit())
    return found


def test_down_at_once_up_after_a_while() -> None:
    limits = follow([9.9, 2.5, *[9.9] * 10], hysteresis=0.0, dwell=0.5, step=0.1)
    assert limits[:3] == [9, 2, 2]
    assert limits.index(9, 1) == 7  # five tenths of a second after the third
    assert set(limits[7:]) == {9}


def test_a_budget_that_trembles_switches_once() -> None:
    budgets = [5.05, 4.95] * 50
    assert follow(budgets, hysteresis=0.1, dwell=0.0) == [5] + [4] * 99
    flapping = follow(budgets, hysteresis=0.0, dwell=0.0)
    assert sum(a != b for a, b in itertools.pairwise(flapping)) == 99


def test_one_glimpse_of_plenty_is_not_enough() -> None:
    limits = follow([2.0, 9.0, 4.5, 9.0, 9.0, 9.0, 9.0], hysteresis=0.0, dwell=0.3)
    assert limits == [2, 2, 2, 2, 4, 4, 4]


@given(st.lists(st.floats(1.0, 12.0), min_size=1, max_size=40), st.floats(0, 0.5), st.floats(0, 1))
def test_never_more_than_the_budget(budgets: list[float], hysteresis: float, dwell: float) -> None:
    limits = follow(budgets, hysteresis=hysteresis, dwell=dwell)
    assert all(limit <= budget for limit, budget in zip(limits, budgets, strict=True))


def test_below_the_cheapest_comes_the_cheapest() -> None:
    governor = Governor(OnPaper(), 0.5)  # type: ignore[arg-type]
    assert [governor.limit(), governor.limit()] == [1, 1]
    assert governor.over_budget == 2
    governor.budget = 3.0
    assert governor.budget == 3.0


def test_faults() -> None:
    runtime = OnPaper()
    for column, match in (("energy_mj", "no column"), ("top1", "more is better")):
        with pytest.raises(BudgetError, match=match):
            Governor(runtime, 3.0, column=column)  # type: ignore[arg-type]
    with pytest.raises(BudgetError, match="dwell -1"):
        Governor(runtime, 3.0, dwell=-1)  # type: ignore[arg-type]
    with pytest.raises(BudgetError, match="The budget is '8'"):
        Governor(runtime, "8")  # type: ignore[arg-type]


def test_a_deadline_is_told_what_calls_took(net: SNNet) -> None:
    images, ticks = torch.randn(1, *net.input.size), itertools.count()
    deadline = Deadline(8.0, slower=1.0)
    with Runtime(net) as runtime:
        runtime.wait_ready()
        # Each look at the clock is 4 ms after the last, whatever runs in between.
        governor = Governor(runtime, deadline, dwell=0.0, clock=lambda: 0.004 * next(ticks))
        assert governor.run(images).stitch == net.space[7]
        assert deadline.ratio == pytest.approx(4.0 / 8.0, abs=0.5)


def jump(
    net: SNNet, seconds: float, top: float | None = None
) -> tuple[list[tuple[float, float, float]], WatchedEngine, float]:
    """Let the budget jump every 100 ms while four threads call, up to `top`, or just above the dearest stitch.

    Returns:
        Budget when a call began, the milliseconds that the table gives its stitch, and those that it took; the
        engine; and the 99th percentile of what the slowest stitch took.
    """
    images = torch.randn(1, *net.input.size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = {route: net(images, route) for route in net.space}
    engine, budget, over = WatchedEngine(net), Setting(20.0), threading.Event()
    calls: list[tuple[float, float, float]] = []
    wrong: list[object] = []

    def work(governor: Governor) -> None:
        while not over.is_set():
            read.value = budget()
            start = time.perf_counter()
            answer = governor.run(images)
            took = 1e3 * (time.perf_counter() - start)
            calls.append((read.value, net.table[answer.stitch].latency_ms, took))  # type: ignore[index]
            if not torch.allclose(answer.logits, expected[answer.stitch], rtol=1e-4, atol=1e-5):
                wrong.append(answer.stitch)

    read = threading.local()  # what the budget was when the call of this thread began
    with Runtime(net, engine) as runtime:
        runtime.wait_ready()
        built = len(engine.loads)
        governor = Governor(runtime, lambda: read.value, dwell=0.05)
        threads = [threading.Thread(target=work, args=(governor,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        generator, end = random.Random(0), time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.1)
            budget.value = generator.uniform(1.0, top or len(net.space) + 2.0)
        over.set()
        for thread in threads:
            thread.join()
        assert not wrong
        assert len(engine.loads) == built and runtime.counters().substituted == 0
        assert runtime.counters().switches > 0
    slowest = max(tabled for _, tabled, _ in calls)
    times = [took for _, tabled, took in calls if tabled == slowest]
    return calls, engine, quantiles(times, n=100, method="inclusive")[-1] if len(times) > 1 else times[0]


def check_jumps(calls: list[tuple[float, float, float]], engine: WatchedEngine) -> None:
    assert all(tabled <= budget for budget, tabled, _ in calls)
    assert {name for _, name in engine.loads[1:]} == {"snnet-runtime-build"}


def test_a_jumping_budget_and_four_threads(net: SNNet) -> None:
    calls, engine, _ = jump(net, 2.0)
    check_jumps(calls, engine)
    assert len(calls) > 20


@pytest.mark.slow
def test_a_jumping_budget_for_a_minute(net: SNNet) -> None:
    # Four threads on a busy machine may take longer than the table says; then budgets go as far.
    _, _, rough = jump(net, 3.0)
    calls, engine, p99 = jump(net, 60.0, top=max(3 * rough, len(net.space) + 2.0))
    check_jumps(calls, engine)
    above = [(budget, took) for budget, _, took in calls if budget > p99]
    assert above, f"no budget was above the slowest stitch's 99th percentile of {p99:.1f} ms"
    assert sum(took <= budget for budget, took in above) >= 0.99 * len(above)
