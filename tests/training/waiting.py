"""A run that stands still after a step until it may go on, so that a test can do something to its processes."""

import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import torch

from snnet.cli.errors import guarded
from snnet.training import Trainer, TrainStatus
from snnet.utils import distributed as processes
from tests.training import spread


def say(line: str) -> None:
    # In one piece: print writes word by word, and the words of two processes would mingle.
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def build(directory: Path) -> Trainer:
    return spread.trainer(spread.build_net(), directory, steps=12, save_every=3, accumulation=1)


def run(directory: Path, step: int) -> None:
    def wait(status: TrainStatus) -> None:
        if status.step == step:
            say("waiting")
            deadline = time.monotonic() + 100
            while not (directory / "go").exists() and time.monotonic() < deadline:
                time.sleep(0.02)

    with processes.joined("cpu") as share:
        say(f"process {share.rank} {os.getpid()}")
        build(directory).fit(resume=True, on_step=wait)


def main(directory: Path, step: int) -> NoReturn:
    torch.set_num_threads(1)
    sys.exit(guarded(lambda: run(directory, step), debug=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
