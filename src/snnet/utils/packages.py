# Tested in tests/profiling/test_profiling.py.
"""Packages: those that only some uses need, and which versions made a file or a number."""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
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


def in_notebook() -> bool:
    """Tell whether this is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of this package, torch, timm and others by their names on the package index."""
    import torch

    # torch's own name of its version says which build it is, for CPU or for which CUDA.
    return {**versions_of("snnet", "torch", "timm", *packages), "torch": str(torch.__version__)}


def versions_of(*packages: str) -> dict[str, str]:
    """Return the versions of some packages, none of which is loaded."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"  # such as our own, run from a source tree
