"""Processes that are told to stop, and one that is killed."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from snnet.training import TrainingInterrupted, TrainStatus
from tests.distributed import fork, torchrun
from tests.training import spread, waiting


@pytest.mark.slow
def test_all_stop_together_and_save_once(tmp_path: Path) -> None:
    launcher, _ = start_and_wait(tmp_path, step=4)
    launcher.send_signal(signal.SIGTERM)
    time.sleep(0.5)  # the launcher hands it on; a process that gets it a step later stops at the same one
    (tmp_path / "go").touch()
    told = launcher.communicate(timeout=200)[1]
    assert told.count("Training stopped after step 4; resume from") == 1, told
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-00000003.pt", "step-00000004.pt"]


@pytest.mark.slow
def test_a_killed_process_ends_the_job(tmp_path: Path) -> None:
    launcher, pids = start_and_wait(tmp_path, step=7)
    os.kill(pids[1], signal.SIGKILL)
    (tmp_path / "go").touch()
    told = launcher.communicate(timeout=200)[1]
    assert launcher.returncode != 0
    assert_lost(told, tmp_path)


def test_a_process_that_lost_the_others_ends_and_fewer_go_on(tmp_path: Path) -> None:
    output = tmp_path / "told.txt"
    output.touch()
    first, second = fork(2, partial(waiting.main, tmp_path, 7), output)
    while "waiting\n" not in output.read_text():
        assert first.is_alive() and second.is_alive(), output.read_text()
        time.sleep(0.02)
    second.kill()
    (tmp_path / "go").touch()
    first.join(200)
    assert first.exitcode
    assert_lost(output.read_text(), tmp_path)

    messages: list[str] = []
    resumed = spread.finish(waiting.build(tmp_path), resume=True, on_message=messages.append)
    assert "Resuming after step 6 of 12" in messages[0]
    spread.assert_equal(spread.finish(waiting.build(tmp_path / "whole")), resumed)


def assert_lost(told: str, directory: Path) -> None:
    assert "Process 0 of 2 lost the others" in told and "as many processes as there are now" in told, told
    assert f"The last good checkpoint is {directory}/checkpoints/step-00000006.pt" in told


def start_and_wait(directory: Path, step: int):  # type: ignore[no-untyped-def]
    """Start two processes; return the launcher, and their ids by rank, once they stand still after a step."""
    launcher = torchrun(2, "tests.training.waiting", directory, step)
    pids: dict[int, int] = {}
    stands = False
    assert launcher.stdout is not None
    for line in launcher.stdout:
        if line.startswith("process"):
            _, rank, pid = line.split()
            pids[int(rank)] = int(pid)
        stands = stands or line == "waiting\n"
        # Lines of two processes come in any order.
        if stands and len(pids) == 2:
            return launcher, pids
    pytest.fail(launcher.communicate()[1])


def test_the_last_step_hears_a_signal_too(tmp_path: Path) -> None:
    def stop(status: TrainStatus) -> None:
        if status.step == 12:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted, match="after step 12"):
        waiting.build(tmp_path).fit(on_step=stop)
