"""Ways to run a stitch: engines, looked up by name."""

from snnet.engines.compile import CompileEngine
from snnet.engines.conditions import Conditions
from snnet.engines.eager import EagerEngine
from snnet.engines.engine import ENGINES, Engine, NetworkEngine, Ready
from snnet.engines.onnxruntime import BundleEngine, OnnxRuntimeEngine
from snnet.engines.openvino import OpenVinoEngine

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
