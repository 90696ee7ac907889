"""Settings of a recipe given as flags: `--optim.lr 1e-4`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snnet.errors import RecipeError

_NOTHING = ("null", "~")


def parse_overrides(tokens: Sequence[str]) -> dict[str, Any]:
    """Return dotted key -> value; several values after one key are a list, none is yes.

    Raises:
        RecipeError: If a value has no key or a key comes twice; the message lists all such faults.
    """
    values: dict[str, list[str]] = {}
    faults = []
    key = ""
    for token in tokens:
        if token.startswith("--"):
            key, equals, value = token[2:].partition("=")
            if key in values:
                faults.append(f"--{key} is given twice")
            values[key] = [value] if equals else []
        elif key:
            values[key].append(token)
        else:
            faults.append(f"{token!r} belongs to no setting; write --section.key {token}")
    if faults:
        raise RecipeError("; ".join(faults) + ".")
    return {key.replace("-", "_"): _value(parts) for key, parts in values.items()}


def only_given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings, by dotted name, for which the user gave an option: it is not None."""
    given = {name: value for name, value in options.items() if value is not None}
    return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}


def _value(parts: list[str]) -> Any:
    if not parts:
        return True
    if len(parts) > 1:
        return parts
    return None if parts[0] in _NOTHING else parts[0]
