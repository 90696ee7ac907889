# Tested in tests/export/test_export.py.
"""Packages that only some uses need: imported when they are, and named with the extra that brings them."""

from importlib import import_module
from types import ModuleType

from snnet.errors import ExtraError


def require(module: str, extra: str) -> ModuleType:
    """Import and return a module that an extra of this package brings.

    Raises:
        ExtraError: If it is not installed; the message says how it is.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ExtraError(
            f"This needs {error.name or module}, which is not installed; pip install 'snnet[{extra}]' brings it."
        ) from error
