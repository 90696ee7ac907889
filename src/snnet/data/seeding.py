"""Randomness as a function of numbers, so that no generator's state needs saving."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive(*numbers: int | str) -> int:
    """Return a 63-bit seed that mixes all of `numbers`, some of which may be words, in their order."""
    digest = hashlib.blake2b(",".join(map(str, numbers)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*numbers: int) -> torch.Generator:
    """Return a CPU generator seeded from `numbers`."""
    return torch.Generator().manual_seed(derive(*numbers))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch (CPU), numpy and `random` for a while, and set them back to where they were."""
    # torch.manual_seed would also reach for the GPUs, which forked workers must not touch.
    states = torch.default_generator.get_state(), np.random.get_state(), random.getstate()
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
