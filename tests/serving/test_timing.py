"""What workers take is measured in rounds, so that a bad moment spoils no stitch alone."""

import numpy as np
import pytest

from snnet.serving import timing
from snnet.serving.timing import measure_latencies
from snnet.serving.workers import Images, Worker
from snnet.table import PROFILE, StitchRow, StitchTable

TABLE = StitchTable([StitchRow(n, f"{n}:0-12", {"macs": n + 1.0, "top1": 70.0 + n}) for n in range(3)])


class Clocked(Worker):
    """Takes a millisecond and one for each image, three times as long in the biggest stitch; slow for some calls."""

    def __init__(self, slow: range = range(0)) -> None:
        self.now, self.calls, self.slow = 0.0, 0, slow
        self.order: list[str] = []

    def run(self, stitch: str, images: Images) -> Images:
        factor = (3 if stitch == "2:0-12" else 1) * (20 if self.calls in self.slow else 1)
        self.now += 1e-3 * (1 + len(images)) * factor
        self.calls += 1
        self.order.append(stitch)
        return np.zeros((len(images), 2), np.float32)


def measured(worker: Clocked, monkeypatch: pytest.MonkeyPatch, **how: float) -> StitchTable:
    monkeypatch.setattr(timing.time, "perf_counter", lambda: worker.now)
    return measure_latencies(worker, TABLE, (1, 2, 2), largest=4, facts={"engine": "x"}, **how)  # type: ignore[arg-type]


def test_each_batch_size_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured(Clocked(), monkeypatch)
    assert found.meta[PROFILE] == {"engine": "x"} and found["1:0-12"].top1 == 71
    for stitch, factor in (("0:0-12", 1), ("2:0-12", 3)):
        row = found[stitch].values
        for batch, name in ((1, ""), (2, "@2"), (4, "@4")):
            assert row[f"latency_ms{name}"] == pytest.approx(factor * (1 + batch))
            assert row[f"latency_ms_p95{name}"] == pytest.approx(factor * (1 + batch))
    assert "latency_ms@8" not in found.columns


def test_a_bad_moment_spoils_no_stitch(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Clocked()
    expected = measured(usual, monkeypatch)
    # About as long as one round, in which slow calls are fewer.
    begin = usual.calls // 2
    found = measured(Clocked(range(begin, begin + usual.calls // 12)), monkeypatch)
    for row in expected:
        for name in ("latency_ms", "latency_ms@2", "latency_ms@4"):
            assert found[row.stitch].values[name] == pytest.approx(row.values[name])
        ratios = {found[other.stitch].values["latency_ms_p95"] / other.latency_ms for other in found}
        assert len({round(ratio, 9) for ratio in ratios}) == 1, "one for all stitches"


def test_stitches_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Clocked()
    measured(worker, monkeypatch)
    changes = [stitch for place, stitch in enumerate(worker.order) if place == 0 or worker.order[place - 1] != stitch]
    assert len(changes) >= 7 and set(changes[:3]) == set(changes[-3:]) == {"0:0-12", "1:0-12", "2:0-12"}


def test_what_takes_too_long_is_not_tried_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured(Clocked(), monkeypatch, longest=0.0055)
    assert "latency_ms@4" in found["0:0-12"].values and "latency_ms@2" not in found["2:0-12"].values
