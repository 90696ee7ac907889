"""Steps are timed once each, sums are calibrated, and the error is that on stitches that really were measured."""

import random
from collections.abc import Callable
from functools import partial

import pytest

from snnet.errors import RecipeError
from snnet.network import SNNet
from snnet.profiling import MeasureSettings, profile
from snnet.profiling.steps import calibrate, choose_whole, plan_walks
from snnet.runtime.engines import EagerEngine, Ready
from snnet.space import StitchSpace
from tests.conftest import build_tiny_net
from tests.helpers.routes import build_free_net


@pytest.mark.parametrize(
    "build",
    [
        build_tiny_net,
        partial(build_tiny_net, nearest=False, direction="both"),
        partial(build_free_net, 1),
        partial(build_free_net, 2),
    ],
)
def test_walks_time_each_step_once_behind_the_one_before_it(build: Callable[[], SNNet]) -> None:
    net = build()
    routes = [net.steps(stitch) for stitch in net.space]
    walks = plan_walks(routes)
    timed = [step for walk in walks for step in walk.steps[walk.lead :]]
    assert len(timed) == len(set(timed))
    assert set(timed) == {step for steps in routes for step in steps}
    pieces = {steps[a:b] for steps in routes for a in range(len(steps)) for b in range(a + 1, len(steps) + 1)}
    assert all(walk.steps in pieces for walk in walks)
    assert all((walk.steps[0].kind == "stem") != walk.lead for walk in walks)


def test_whole_stitches_are_spread_and_the_checked_ones_are_others() -> None:
    space = StitchSpace.build([[12], [12], [12]])
    rough = {stitch: float(number) for number, stitch in enumerate(space)}
    calibrating, checking = choose_whole(list(space), rough, 0)
    assert (len(calibrating), len(checking)) == (4, 8) and not set(calibrating) & set(checking)
    assert [rough[stitch] for stitch in calibrating] == [0, 23, 47, 70]
    assert choose_whole(list(space), rough, 1)[1] != checking
    few = choose_whole(list(space)[:8], rough, 0)
    assert [len(part) for part in few] == [2, 2]
    with pytest.raises(RecipeError, match="Of 4 stitches none is left to predict"):
        choose_whole(list(space)[:4], rough, 0)


def test_calibration_finds_what_is_constant_and_what_is_in_proportion() -> None:
    sums = {str(n): float(n) for n in range(1, 50)}
    truth = {stitch: 0.7 + 0.9 * value for stitch, value in sums.items()}
    found = calibrate(sums, {stitch: truth[stitch] for stitch in ("1", "9", "20", "49")})
    assert found == pytest.approx(truth)


def test_noise_that_turns_the_line_over_is_not_believed() -> None:
    found = calibrate({"a": 1.0, "b": 1.1, "c": 9.0}, {"a": 2.0, "b": 1.0})
    assert found["a"] < found["b"] < found["c"]


class _Timed(Ready):
    """Nothing but time, told by a clock that only these move."""

    def __init__(self, clock: list[float], milliseconds: float, inner: Ready) -> None:
        self.clock, self.milliseconds, self.inner = clock, milliseconds, inner

    def __call__(self, images):  # type: ignore[no-untyped-def]
        self.clock[0] += self.milliseconds / 1e3
        return self.inner(images)


def test_a_route_is_predicted_from_its_steps(tiny_net: SNNet, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    draw = random.Random(0)
    steps = {step for stitch in tiny_net.space for step in tiny_net.steps(stitch)}
    costs = {step: draw.uniform(0.5, 2.0) for step in sorted(steps, key=str)}
    truth = {s.id: 0.3 + 0.8 * sum(costs[step] for step in tiny_net.steps(s)) for s in tiny_net.space}
    load, load_step = EagerEngine.load, EagerEngine.load_step
    find = tiny_net.space.find
    monkeypatch.setattr("snnet.profiling.timing.perf_counter", lambda: clock[0])
    monkeypatch.setattr(EagerEngine, "load", lambda self, s: _Timed(clock, truth[find(s).id], load(self, s)))
    monkeypatch.setattr(EagerEngine, "load_step", lambda self, s, x: _Timed(clock, costs[s], load_step(self, s, x)))
    table = profile(tiny_net, stitches="all", settings=MeasureSettings((1, 2), warmup=0, repeats=2, blocks=True))
    for name in ("latency_ms", "latency_ms@2"):
        assert dict(zip(truth, table.column(name), strict=True)) == pytest.approx(truth)
    predicted = [row for row in table if "latency_ms_error" in row.values]
    assert len(predicted) == len(tiny_net.space) - 6
    assert all("latency_ms_p95" not in row.values and row.memory_mb > 0 for row in predicted)
    facts = table.meta["profile"]
    assert facts["method"] == "blocks" and "whole stitches only" in facts["energy"]
    assert facts["prediction"]["2"]["steps"] == len(steps) and facts["prediction"]["2"]["checked_on"] == 3
    assert facts["prediction"]["1"]["mean_error_percent"] == pytest.approx(0, abs=1e-6)


def test_the_error_bar_is_that_of_the_checked_stitches(tiny_net: SNNet) -> None:
    table = profile(tiny_net, stitches="all", settings=MeasureSettings(warmup=0, repeats=2, blocks=True))
    worth = table.meta["profile"]["prediction"]["1"]
    assert 0 < worth["mean_error_percent"] <= worth["worst_error_percent"]
    bars = {round(row.latency_ms_error / row.latency_ms, 6) for row in table if "latency_ms_error" in row.values}
    assert len(bars) == 1
    assert worth["mean_error_percent"] / 100 <= bars.pop() + 1e-6 <= worth["worst_error_percent"] / 100 + 2e-6
