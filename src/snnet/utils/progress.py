"""How far long work is: told to whoever asks, or shown as a bar where someone watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Literal, ParamSpec, TypeAlias, TypeVar

from snnet.utils.shares import started_share

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with what is done, what there is in all (0 if unknown), and a note."""
Show: TypeAlias = Progress | Literal[False] | None
"""What is told of progress: a function; nothing (False); or, by None, a bar where someone watches."""
Stage: TypeAlias = Callable[[str], AbstractContextManager[Progress]]
"""Entered with a title around each piece of long work; gives what that work reports its progress to."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def shows_progress(title: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a function with a keyword `progress` of type `Show` run below a bar, where one is wanted.

    The function itself gets what it shall report to, or False where nobody listens.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(function)
        def shown(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            wanted = kwargs.get("progress")
            with bar(title) if wanted is None and is_watched() else nullcontext(wanted or False) as told:
                kwargs["progress"] = told
                return function(*args, **kwargs)

        return shown

    return decorate


def is_watched() -> bool:
    """Tell whether a bar would be seen: in a terminal or a notebook, and in the first of several processes alone."""
    stream = sys.stderr  # a program without a console has none
    return started_share().is_first and ((stream is not None and stream.isatty()) or _in_notebook())


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """Show a bar on stderr, or in the notebook's cell, and leave its last state standing."""
    from snnet.utils.bars import shown_bar

    with shown_bar(title) as report:
        yield report


def silent(title: str) -> AbstractContextManager[Progress]:  # noqa: ARG001
    """Show nothing: the stage where nobody asked for one."""
    return nullcontext(_ignore)


def _ignore(done: int, total: int, note: str) -> None:
    """Say nothing."""


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"
