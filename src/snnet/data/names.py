"""Names of classes: whether they are text, and how two differ that look alike."""

import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from snnet.errors import DataError


def check_text(folder: Path, names: Iterable[str]) -> None:
    """Refuse names of folders that no file could hold as text, or of which two look alike.

    Raises:
        DataError: If a name is not UTF-8, or two differ in Unicode form or blanks alone.
    """
    met: dict[str, str] = {}
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"{folder} holds a class folder whose name is not UTF-8, {os.fsencode(name)!r}; rename it."
            ) from None
        twin = met.setdefault(_seen(name), name)
        if twin != name:
            raise DataError(f"{folder} holds two class folders that look alike: {differ(twin, name)}; rename one.")


def differ(first: str, second: str) -> str:
    """Return both names, quoted, and in what they differ if that is hard to see."""
    quoted = f"{first!r} and {second!r}"
    forms = [unicodedata.normalize("NFC", name) for name in (first, second)]
    if _seen(first) == _seen(second):
        blanks = forms[0] != forms[1]
        how = "blanks" if blanks else f"Unicode form, {_form(first)} and {_form(second)}"
        return f"{quoted} differ in {how}: {first!a} and {second!a}"
    if forms[0].casefold() == forms[1].casefold():
        return f"{quoted} differ in upper and lower case"
    return quoted


def look_alikes(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Return in what names of the one differ from names of the other that look the same."""
    twins = {_seen(name).casefold(): name for name in second}
    pairs = ((name, twins.get(_seen(name).casefold())) for name in first)
    return [differ(name, twin) for name, twin in pairs if twin not in (None, name)]


def listed(names: Sequence[str]) -> str:
    """Return the first names, quoted, and how many there are."""
    return ", ".join(map(repr, names[:5])) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")


def _seen(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


def _form(name: str) -> str:
    return next((form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, name)), "mixed")
