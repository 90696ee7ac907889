"""Processes that work together: started by `torchrun` as a user would, or forked from the tests' own in no time."""

import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path

import torch

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


def fork(count: int, work: Callable[[], object], told: Path) -> list[ForkProcess]:
    """Do the same in `count` processes of this machine, which need not import torch again; `told` gets their output."""
    port = _free_port()

    def run(rank: int) -> None:
        with told.open("a") as output:
            for number in (1, 2):
                os.dup2(output.fileno(), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": rank, "LOCAL_RANK": rank}
        sizes = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
        os.environ.update(ENVIRONMENT | {name: str(value) for name, value in (place | sizes).items()})
        torch.set_num_threads(1)
        work()

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=run, args=(rank,), daemon=True) for rank in range(count)]
    for process in processes:
        process.start()
    return processes


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
