import logging
from threading import Event, current_thread

import pytest

from snnet.serving.plans import Plans


def test_at_once_it_is_worked_out_in_place_and_once() -> None:
    plans, made = Plans(), list[str]()
    for _ in range(2):
        assert plans.find("a", lambda: made.append(current_thread().name) or 7) == 7
    assert made == [current_thread().name] and plans.known() == {"a": 7}
    plans.close()


def test_beside_nobody_waits_and_little_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnet.serving.plans._UNDER_WAY", 3)
    plans, gate, made = Plans(beside=True), Event(), list[int]()

    def work(number: int) -> int:
        assert gate.wait(20)
        made.append(number)
        return number

    for number in (1, 2, 3, 4, 1, 2):
        assert plans.find(number, lambda number=number: work(number)) is None
    assert plans.make("now", lambda: 9) == 9, "who cannot do without waits for it"
    gate.set()
    plans._thread.submit(int).result(20)  # type: ignore[union-attr]
    assert made == [1, 2, 3] and plans.find(2, int) == 2
    plans.close()
    assert plans.known() == {}


def test_what_cannot_be_worked_out_is_told_and_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    plans = Plans(beside=True)
    with caplog.at_level(logging.ERROR):
        assert plans.find("a", lambda: [][0]) is None
        plans._thread.submit(int).result(20)  # type: ignore[union-attr]
    assert "a cannot be worked out" in caplog.text
    plans.find("b", lambda: 5)
    plans._thread.submit(int).result(20)  # type: ignore[union-attr]
    assert plans.known() == {"b": 5}
    plans.close()
