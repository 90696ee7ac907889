"""Keywords that a function does not have, refused before it runs."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from snnet.errors import did_you_mean

P = ParamSpec("P")
T = TypeVar("T")


def near_keywords(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function name the nearest of its keywords where it is given one that it does not have.

    Raises:
        TypeError: As Python does, from the function that is returned.
    """
    known = tuple(signature(function).parameters)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        for name in kwargs:
            if name not in known:
                raise TypeError(
                    f"{function.__name__}() has no keyword {name!r}; accepted: {', '.join(known)}."
                    f"{did_you_mean(name, known)}"
                )
        return function(*args, **kwargs)

    return call
