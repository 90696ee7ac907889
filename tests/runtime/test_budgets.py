"""Budgets follow what they are made of."""

import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from snnet.errors import BudgetError, ExtraError
from snnet.runtime import Deadline, Polled, Ramp, Setting, battery_percent, temperature


@pytest.fixture
def usr1() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_a_setting_by_hand_and_by_signal(usr1: None) -> None:
    budget = Setting(20.0)
    budget.on_signal(signal.SIGUSR1, 5.0)
    assert budget() == 20.0
    os.kill(os.getpid(), signal.SIGUSR1)
    assert budget() == 5.0
    budget.value = 7.0
    assert budget() == 7.0


def test_a_ramp_follows_a_queue() -> None:
    waiting: queue.Queue[int] = queue.Queue()
    budget = Ramp(waiting.qsize, (2, 20.0), (6, 4.0))
    found = []
    for number in range(9):
        found.append(budget())
        waiting.put(number)
    assert found == [20, 20, 20, 16, 12, 8, 4, 4, 4]
    assert Ramp(lambda: 15.0, (10, 2.0), (20, 8.0))() == 5.0
    with pytest.raises(BudgetError, match="Both ends of the ramp are at 3"):
        Ramp(waiting.qsize, (3, 1), (3, 2))


def test_a_polled_reading_is_taken_elsewhere() -> None:
    names: list[str] = []
    third = threading.Event()

    def reading() -> float:
        names.append(threading.current_thread().name)
        if len(names) == 3:
            third.set()
        return float(len(names))

    polled = Polled(reading, 0.001)
    assert third.wait(10)
    polled.close()
    assert polled() >= 1 and set(names[1:]) == {"snnet-polled"}


def test_a_reading_that_fails_is_followed_by_the_next() -> None:
    count, third = [0], threading.Event()

    def reading() -> float:
        count[0] += 1
        if count[0] == 2:
            raise OSError("the sensor is away")
        if count[0] == 4:
            third.set()
        return float(count[0])

    polled = Polled(reading, 0.001)
    assert third.wait(10)
    polled.close()
    assert polled() >= 3


def test_a_deadline_shrinks_fast_and_grows_slowly() -> None:
    deadline = Deadline(10.0, slower=0.5, faster=0.1)
    assert deadline() == 10.0
    deadline.observe(expected=4.0, measured=12.0)
    assert deadline() == pytest.approx(10.0 / 2)
    deadline.observe(expected=4.0, measured=4.0)
    assert deadline() == pytest.approx(10.0 / 1.9)
    for _ in range(200):
        deadline.observe(4.0, 4.0)
    assert deadline() == pytest.approx(10.0)
    for faulty in ({"milliseconds": 0}, {"milliseconds": 1, "slower": 0}, {"milliseconds": 1, "faster": 1.5}):
        with pytest.raises(BudgetError, match="above 0"):
            Deadline(**faulty)  # type: ignore[arg-type]


def fake_psutil(monkeypatch: pytest.MonkeyPatch, **functions: object) -> None:
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(**functions))  # type: ignore[arg-type]


def test_sensors(monkeypatch: pytest.MonkeyPatch) -> None:
    heat = {"nvme": [SimpleNamespace(current=90.0)], "k10temp": [SimpleNamespace(current=t) for t in (51.0, 63.5)]}
    on_battery = SimpleNamespace(percent=42, power_plugged=False)
    fake_psutil(
        monkeypatch,
        sensors_battery=lambda: on_battery,
        sensors_temperatures=lambda: heat,
    )
    assert (battery_percent(), temperature()) == (42.0, 63.5)
    on_battery.power_plugged = True
    assert battery_percent() == 100.0


def test_sensors_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_psutil(monkeypatch)
    assert battery_percent() == 100.0
    with pytest.raises(BudgetError, match="shows no temperature"):
        temperature()
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(ExtraError, match=r"snnet\[sensors\]"):
        battery_percent()
