"""The names of classes, in the order of their labels: what data says about them, and whether a network agrees."""

from collections.abc import Sequence
from itertools import zip_longest

from snnet.errors import DataError


def class_name(name: object) -> str:
    """Return a class's name as text; ImageNet's classes in torchvision are tuples of synonyms."""
    return ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def classes_of(data: object) -> tuple[str, ...] | None:
    """Return the classes that a data set names, or the one that batches, a loader or a subset read; None if none does.

    Names are not trusted where a `target_transform` gives the labels another meaning.
    """
    if data is None or getattr(data, "target_transform", None) is not None:
        return None
    named = getattr(data, "classes", None)
    if isinstance(named, list | tuple) and named:
        return tuple(map(class_name, named))
    return classes_of(getattr(data, "dataset", None))


def check_classes(known: Sequence[str] | None, found: Sequence[str] | None) -> None:
    """Refuse data whose classes are not those of a network in the same order; unknown names agree with any.

    Args:
        known: The network's classes.
        found: The data's.

    Raises:
        DataError: At the first class that differs, which is named.
    """
    if known is None or found is None:
        return
    for number, (ours, theirs) in enumerate(zip_longest(known, found)):
        if ours != theirs:
            raise DataError(
                f"The data has other classes than the network, or another order: class {number} is {_shown(ours)} in "
                f"the network and {_shown(theirs)} in the data. Use data with the network's classes in its order; if "
                "they are the same classes under other names, load the network in Python, set net.classes to the "
                "data's and save it again."
            )


def _shown(name: str | None) -> str:
    return "missing" if name is None else repr(name)
