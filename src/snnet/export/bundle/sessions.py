"""Sessions of onnxruntime that share mapped weights and one arena, see `benchmarks/bundle_memory.py`."""

from functools import cache
from pathlib import Path
from typing import Any

from snnet.errors import EngineError
from snnet.utils import require

PROVIDERS = ["CPUExecutionProvider"]
COPYING = ["ConvAddFusion", "ConvBNFusion", "ConvMulFusion"]
"""Optimizations of onnxruntime that give a session weights of its own, as the reordering of `ORT_ENABLE_ALL` does."""
STITCH = "snnet.stitch"
"""Entry of a graph's metadata that says which stitch it is."""


def graph_name(stitch: str) -> str:
    """Return what the file of a stitch's graph is called."""
    return f"{stitch.replace(':', '_')}.onnx"


def open_session(graph: str | Path, *, threads: int = 1, prepack: bool = False) -> Any:
    """Return an `onnxruntime.InferenceSession` of a graph whose weights lie in a file beside it.

    Args:
        graph: The `.onnx` file.
        threads: Threads of one call.
        prepack: Let the session pack the weights for itself: faster, and they are no longer shared.

    Raises:
        EngineError: If onnxruntime cannot read or run it, or it is the graph of another stitch than its name says.
    """
    ort = require("onnxruntime", "onnx")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.add_session_config_entry("session.disable_prepacking", "0" if prepack else "1")
    # An arena of its own would keep the activations of every stitch that ever ran; one for all keeps the largest.
    _share_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Of its own: a pool for all saves little, and with one onnxruntime refuses sessions with threads to all others.
    options.intra_op_num_threads = threads
    # The threads of many sessions share the cores: let them sleep as soon as a call has ended.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        session = ort.InferenceSession(
            str(graph), options, providers=PROVIDERS, disabled_optimizers=None if prepack else COPYING
        )
    except Exception as error:  # onnxruntime has a dozen kinds without a common one but this
        raise EngineError(f"onnxruntime cannot open {graph}: {error}") from error
    stitch = session.get_modelmeta().custom_metadata_map.get(STITCH)
    if stitch and Path(graph).suffix == ".onnx" and Path(graph).name != graph_name(stitch):
        raise EngineError(f"{graph} is the graph of stitch {stitch}; copy or export the bundle again.")
    return session


@cache
def _share_arena() -> None:
    ort = require("onnxruntime", "onnx")
    kind = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    ort.create_and_register_allocator(ort.OrtMemoryInfo("Cpu", kind, 0, ort.OrtMemType.DEFAULT), None)
