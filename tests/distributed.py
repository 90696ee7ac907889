"""Processes that work together, started by `torchrun` as a user would."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}


def torchrun(count: int, *command: object) -> "subprocess.Popen[str]":
    """Start `python -m ...` in `count` processes on this machine."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", count]
    place = ["--master-addr", "127.0.0.1", "--master-port", _free_port()]
    return subprocess.Popen(
        [str(word) for word in (*launcher, *place, "-m", *command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=Path(__file__).parents[1],
    )


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
