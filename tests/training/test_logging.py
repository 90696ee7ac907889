import math
from pathlib import Path

import pytest

from snnet.errors import TrainingError
from snnet.training import RunSettings
from snnet.training.engine import Update, build_accelerator
from snnet.training.logging import Meter, RunLog, read_log


def open_log(path: Path, step: int) -> RunLog:
    return RunLog(path, step, build_accelerator(RunSettings(steps=1, device="cpu")), {})


def test_lines_of_steps_to_be_done_again_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with open_log(path, 0) as log:
        for step in (2, 4, 6):
            log.write({"step": step, "loss": 1.5})
    path.write_text(path.read_text() + '{"step": 8, "lo')
    assert [record["step"] for record in read_log(path)] == [2, 4, 6]
    with open_log(path, 4) as log:
        log.write({"step": 5, "loss": 0.5})
        log.sync()
    assert read_log(path) == [{"step": 2, "loss": 1.5}, {"step": 4, "loss": 1.5}, {"step": 5, "loss": 0.5}]


def test_a_log_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"file/log\.jsonl cannot be written \((File exists|Not a directory)\)"):
        open_log(tmp_path / "file" / "log.jsonl", 0)


def test_a_run_without_directory_writes_nothing() -> None:
    with RunLog(None, 0, build_accelerator(RunSettings(steps=1, device="cpu")), {}) as log:
        log.write({"step": 1})
        log.sync()


def test_means_are_of_the_last_50_steps() -> None:
    meter = Meter()
    assert math.isnan(meter.loss) and meter.images_per_second == 0
    for step in range(60):
        meter.note(Update(loss=float(step), grad_norm=1.0, images=8), seconds=0.5)
    assert meter.loss == pytest.approx(sum(range(10, 60)) / 50)
    assert meter.images_per_second == pytest.approx(16) and meter.seconds == pytest.approx(0.5)


def test_each_loss_is_logged_once() -> None:
    meter = Meter()
    for loss in (1.0, 3.0):
        meter.note(Update(loss, 1.0, 8), 0.1)
    assert meter.unlogged == [1.0, 3.0] and meter.take_logged() == 2.0
    meter.note(Update(5.0, 1.0, 8), 0.1)
    assert meter.take_logged() == 5.0 and meter.unlogged == []
