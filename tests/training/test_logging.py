from pathlib import Path

import pytest

from snnet.errors import TrainingError
from snnet.training.engine import build_accelerator
from snnet.training.logging import RunLog, read_log


def open_log(path: Path, step: int) -> RunLog:
    return RunLog(path, step, build_accelerator("cpu", "fp32", 1), {})


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
    with RunLog(None, 0, build_accelerator("cpu", "fp32", 1), {}) as log:
        log.write({"step": 1})
        log.sync()
