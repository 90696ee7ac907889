# Tested in tests/profiling/test_profiling.py.
"""Which versions of the packages made a file or a number."""

from importlib.metadata import PackageNotFoundError, version

import torch


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of this package, torch, timm and others by their names on the package index."""
    found = {"snnet": _version("snnet"), "torch": str(torch.__version__), "timm": _version("timm")}
    # torch's own name of its version says which build it is, for CPU or for which CUDA.
    return {**found, **{package: _version(package) for package in packages if package not in found}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"  # such as our own, run from a source tree
