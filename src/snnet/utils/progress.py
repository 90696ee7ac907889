"""How far long work is: told to whoever asks, or shown as a bar where someone watches."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Literal, ParamSpec, TypeAlias, TypeVar

from snnet.utils.packages import in_notebook
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
            if wanted is not None or not is_watched():
                kwargs["progress"] = wanted or False
                return function(*args, **kwargs)
            from snnet.utils.bars import bar  # slow, and not needed where nobody watches

            with bar(title) as kwargs["progress"]:
                return function(*args, **kwargs)

        return shown

    return decorate


def is_watched() -> bool:
    """Tell whether a bar would be seen: in a terminal or a notebook, and in the first of several processes alone."""
    stream = sys.stderr  # a program without a console has none
    return started_share().is_first and (in_notebook() or (stream is not None and stream.isatty()))


def silent(title: str) -> AbstractContextManager[Progress]:  # noqa: ARG001
    """Show nothing: the stage where nobody asked for one."""
    return nullcontext(lambda *_: None)
