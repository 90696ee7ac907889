"""How long work says how far it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Progress = Callable[[int, int, str], None]
"""Called with what is done, what there is in all (0 if unknown), and a note."""
Stage = Callable[[str], AbstractContextManager[Progress]]
"""Entered with a title around each piece of long work; gives what that work reports its progress to."""


def silent(title: str) -> AbstractContextManager[Progress]:  # noqa: ARG001
    """Show nothing: the stage where nobody asked for one."""
    return nullcontext(_ignore)


def _ignore(done: int, total: int, note: str) -> None:
    """Say nothing."""
