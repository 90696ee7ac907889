"""Sessions of onnxruntime that share what they can: mapped weights and one arena.

Measured on the 39 stitches of the frontier of DeiT-Ti/S/B, see `benchmarks/bundle_memory.py`:

* By default each session packs its weights anew, into memory of its own. Without packing they stay mapped from the
  file, which all sessions share; a call takes about a tenth longer.
* Weights handed over from memory (`add_external_initializers_from_files_in_memory`) are copied into every session.
* An arena of its own in every session keeps the activations of all stitches; one for all keeps the largest.
* A common pool of threads (`set_global_thread_pool_sizes`) saves little memory, and once a process has one, onnxruntime
  refuses every session with threads of its own, those of other programs in the process too.
* Folding batch norms, factors and offsets into convolutions makes copies, and so does the reordering of
  `ORT_ENABLE_ALL`.
"""

from functools import cache
from pathlib import Path
from typing import Any

from snnet.errors import EngineError
from snnet.utils import require

PROVIDERS = ["CPUExecutionProvider"]
COPYING = ["ConvAddFusion", "ConvBNFusion", "ConvMulFusion"]
"""Optimizations of onnxruntime that give a session weights of its own."""


def open_session(graph: str | Path, *, threads: int = 1, prepack: bool = False, arena: bool = True) -> Any:
    """Return an `onnxruntime.InferenceSession` of a graph whose weights lie in a file beside it.

    Args:
        graph: The `.onnx` file.
        threads: Threads of one call.
        prepack: Let the session pack the weights for itself: faster, and they are no longer shared.
        arena: Take activations from the arena that all sessions of this process share.

    Raises:
        EngineError: If onnxruntime cannot read or run it.
    """
    ort = require("onnxruntime", "onnx")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.add_session_config_entry("session.disable_prepacking", "0" if prepack else "1")
    if arena:
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = threads
    # The threads of many sessions share the cores: let them sleep as soon as a call has ended.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return ort.InferenceSession(
            str(graph), options, providers=PROVIDERS, disabled_optimizers=None if prepack else COPYING
        )
    except Exception as error:  # onnxruntime has a dozen kinds without a common one but this
        raise EngineError(f"onnxruntime cannot open {graph}: {error}") from error


@cache
def _share_arena() -> None:
    ort = require("onnxruntime", "onnx")
    kind = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    ort.create_and_register_allocator(ort.OrtMemoryInfo("Cpu", kind, 0, ort.OrtMemType.DEFAULT), None)
