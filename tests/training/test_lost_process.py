"""Processes that are told to stop, and one that is killed."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from snnet.training.checkpoint import read_checkpoint
from snnet.training.logging import read_log
from tests.distributed import torchrun
from tests.training.killable import build_trainer

STEPS = 14


def test_all_stop_together_one_is_killed_and_fewer_go_on(tmp_path: Path) -> None:
    stopped = start(tmp_path)
    os.kill(stopped.pid, signal.SIGTERM)
    told = stopped.communicate(timeout=120)[1]
    assert len(re.findall(r"SIGTERM received: stopping after step (\d+)", told)) == 1, told
    newest = max((tmp_path / "checkpoints").glob("*.pt"))
    assert f"resume from {newest}" in told

    killed = start(tmp_path)
    os.kill(worker(killed.pid, 1), signal.SIGKILL)
    told = killed.communicate(timeout=120)[1]
    assert killed.returncode != 0
    assert "lost the others" in told and "as many processes as there are now" in told
    newest = max((tmp_path / "checkpoints").glob("*.pt"))
    assert f"The last good checkpoint is {newest}" in told

    done = read_checkpoint(newest)["step"]
    messages: list[str] = []
    build_trainer(tmp_path, on_message=messages.append)
