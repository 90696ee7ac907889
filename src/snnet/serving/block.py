# Tested in tests/serving/test_processes.py.
"""Memory in which a server and its worker processes hand each other images and logits."""

from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray


class Block:
    """An array that two processes see.

    Args:
        shape: Its shape.
        name: Of the memory that another process has made; it is made here if None.

    Attributes:
        array: The numbers.
        facts: What another process makes the same of.
    """

    def __init__(self, shape: tuple[int, ...], name: str | None = None) -> None:
        size = 4 * int(np.prod(shape))
        self.memory = SharedMemory(name, create=name is None, size=size)
        self.array: NDArray[np.float32] = np.ndarray(shape, np.float32, self.memory.buf)
        self.facts = (shape, self.memory.name)

    def release(self) -> None:
        """Give the memory back."""
        del self.array
        self.memory.close()
        self.memory.unlink()
