"""The names by which data sets call their training and validation images."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from snnet.errors import DataError

SPLITS = ("train", "validation")
SPLIT_NAMES = {"train": ("train", "training"), "validation": ("validation", "val", "valid", "test", "testing", "eval")}
"""What a split is called, in lower case; the first of these that there is counts."""


# One in so many images is for validation where there are no splits.
HELD_OUT = 5


def held_out(names: Mapping[int, PurePath]) -> list[int]:
    """Return which images are for validation: one in five, and at least one.

    The choice depends on the names of the files alone, so it is the same everywhere.

    Args:
        names: Place of each image -> its path within the folder.
    """

    def digest(place: int) -> str:
        return hashlib.sha256(os.fsencode(names[place].as_posix())).hexdigest()

    return sorted(names, key=digest)[: max(1, len(names) // HELD_OUT)]


def is_split(name: str) -> bool:
    """Return whether a name is that of a split, in any case."""
    return any(name.lower() in names for names in SPLIT_NAMES.values())


def find_split(present: Iterable[str], split: str) -> str | None:
    """Return which of the names that there are is that of a split, in any case; None if none is.

    Raises:
        DataError: If names differ in upper and lower case alone.
    """
    names = list(present)
    for wanted in SPLIT_NAMES[split]:
        found = [name for name in names if name.lower() == wanted]
        if len(found) > 1:
            raise DataError(f"The {split} images may be those of {' or '.join(sorted(found))}; keep one of them.")
        if found:
            return found[0]
    return None
