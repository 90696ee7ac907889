"""Ways to run a stitch: engines, looked up by name."""

from snnet.runtime.engines.compile import CompileEngine
from snnet.runtime.engines.eager import EagerEngine
from snnet.runtime.engines.engine import ENGINES, Conditions, Engine, NetworkEngine, Ready
from snnet.runtime.engines.onnxruntime import BundleEngine, OnnxRuntimeEngine
from snnet.runtime.engines.openvino import OpenVinoEngine

__all__ = [
    "ENGINES",
    "BundleEngine",
    "CompileEngine",
    "Conditions",
    "EagerEngine",
    "Engine",
    "NetworkEngine",
    "OnnxRuntimeEngine",
    "OpenVinoEngine",
    "Ready",
]
