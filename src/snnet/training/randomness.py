"""All randomness of a training step as a function of (seed, step), so that resuming needs no generator states."""

import random

import numpy as np
import torch

_GLOBAL, _STITCH = range(2)


def reseed(seed: int, step: int) -> None:
    """Seed torch (all devices), numpy and `random` for one step: drop path, dropout, mixup and cutmix."""
    derived = _derive(seed, step, _GLOBAL)
    torch.manual_seed(derived)
    np.random.seed(derived % 2**32)
    random.seed(derived)


def stitch_generator(seed: int, step: int) -> torch.Generator:
    """Return the generator from which the stitch of one step is drawn."""
    return torch.Generator().manual_seed(_derive(seed, step, _STITCH))


def _derive(seed: int, step: int, stream: int) -> int:
    # SeedSequence mixes well even where seeds and steps are small neighbouring integers.
    return int(np.random.SeedSequence((seed, step, stream)).generate_state(1, np.uint64)[0] >> 1)
