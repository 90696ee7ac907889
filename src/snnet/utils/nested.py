# Tested in tests/training/test_facts.py.
"""Settings within settings."""

from collections.abc import Mapping
from typing import Any


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as dotted name -> value; an empty section is a value."""
    flat: dict[str, Any] = {}
    for name, item in value.items():
        flat |= flatten(item, f"{prefix}{name}.") if isinstance(item, Mapping) and item else {prefix + name: item}
    return flat
