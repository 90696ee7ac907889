"""Many stitches and one copy of the weights, in files that onnxruntime runs without this package."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snnet.bundle.bundle import Bundle as Bundle
    from snnet.bundle.graphs import StitchGraphs as StitchGraphs
    from snnet.bundle.manifest import MANIFEST as MANIFEST
    from snnet.bundle.quantize import Quantization as Quantization
    from snnet.bundle.sessions import open_session as open_session
    from snnet.bundle.write import write_bundle as write_bundle

_HOME = {
    "MANIFEST": "manifest",
    "Bundle": "bundle",
    "Quantization": "quantize",
    "StitchGraphs": "graphs",
    "open_session": "sessions",
    "write_bundle": "write",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    # A device that only opens bundles need not have torch.
    if name not in _HOME:
        raise AttributeError(f"module 'snnet.bundle' has no attribute {name!r}")
    return getattr(import_module(f"snnet.bundle.{_HOME[name]}"), name)
