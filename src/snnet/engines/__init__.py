"""Ways to run a stitch: engines, looked up by name."""

from snnet.engines.compile import CompileEngine
from snnet.engines.conditions import Conditions
from snnet.engines.eager import EagerEngine
from snnet.engines.engine import ENGINES, Engine, Ready
from snnet.engines.onnxruntime import OnnxRuntimeEngine
from snnet.engines.openvino import OpenVinoEngine

__all__ = [
    "ENGINES",
    "CompileEngine",
    "Conditions",
    "EagerEngine",
    "Engine",
    "OnnxRuntimeEngine",
    "OpenVinoEngine",
    "Ready",
]
