# Tested in tests/training/test_trainer.py.
"""All randomness of a training step as a function of (seed, step), so that resuming needs no generator states."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_GLOBAL, _STITCH = range(2)


def reseed(seed: int, step: int, rank: int = 0) -> None:
    """Seed torch (all devices), numpy and `random` for one step of one process: drop path, dropout, mixup, cutmix."""
    derived = _derive(seed, step, _GLOBAL, rank)
    torch.manual_seed(derived)
    np.random.seed(derived % 2**32)
    random.seed(derived)


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Set torch (all devices), numpy and `random` back at the end to where they were."""
    numpy, python = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        np.random.set_state(numpy)
        random.setstate(python)


def stitch_generator(seed: int, step: int) -> torch.Generator:
    """Return the generator from which the stitches of one step are drawn, the same in all processes."""
    return torch.Generator().manual_seed(_derive(seed, step, _STITCH))


def _derive(seed: int, step: int, stream: int, rank: int = 0) -> int:
    # SeedSequence mixes well even where seeds and steps are small neighboring integers.
    numbers = (seed, step, stream, rank) if rank else (seed, step, stream)
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
