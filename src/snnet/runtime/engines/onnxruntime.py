"""onnxruntime on the CPU: stitches as ONNX graphs, of a network or of a bundle, all of them on one file of weights."""

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from snnet.errors import EngineError, ExportError
from snnet.export.bundle import Bundle, StitchGraphs, open_session, run_session
from snnet.network import Given, SNNet, StitchLike
from snnet.runtime.engines.engine import ENGINES, Conditions, Engine, NetworkEngine, Ready
from snnet.space import Step
from snnet.utils import require

MEMORY_PER_BYTE = 30
"""Bytes that onnxruntime takes in memory for each byte of a graph's file, see `benchmarks/bundle_memory.py`."""


class _Session(Ready):
    def __init__(self, graph: Path, threads: int) -> None:
        self.session: Any = open_session(graph, threads=threads)
        self.nbytes = MEMORY_PER_BYTE * graph.stat().st_size

    def __call__(self, images: Given) -> Tensor:
        session = self.session
        if session is None:
            raise EngineError("This stitch was closed; load it again.")
        return run_session(session, images)

    def close(self) -> None:
        # A call that is under way holds the session until it ends.
        self.session = None


@ENGINES.register("onnxruntime")
class OnnxRuntimeEngine(NetworkEngine):
    """Runs stitches through onnxruntime on the CPU, in fp32, with the weights mapped from one file.

    A stitch is exported when it is first loaded, and compared with the network. Its steps are exported once: a
    further stitch of steps that are known is ready in a fraction of a second.

    Args:
        net: The network.
        conditions: Device, precision and threads; those of the network and of torch if None.
    """

    name = "onnxruntime"

    def __init__(self, net: SNNet, conditions: Conditions | None = None) -> None:
        require("onnxruntime", "onnx")
        super().__init__(net, conditions)
        device, precision = self.conditions.device, self.conditions.precision
        if device.type != "cpu":
            raise EngineError(f"The engine onnxruntime runs on cpu, and {device} was asked for.")
        if precision != "fp32":
            raise EngineError(f"The engine onnxruntime computes in fp32, and {precision} was asked for.")
        self._folder = TemporaryDirectory(prefix="snnet-onnxruntime-")
        self._graphs = StitchGraphs(net, Path(self._folder.name))
        self._numbers = count()

    def load(self, stitch: StitchLike) -> Ready:
        """Return a stitch in a session of its own.

        Raises:
            SpaceError: If the network has no such stitch.
            EngineError: If it cannot be exported.
        """
        route = self.net.space.find(stitch)
        try:
            return _Session(self._graphs.add(route), self.conditions.threads)
        except ExportError as error:
            raise EngineError(str(error)) from error

    def load_step(self, step: Step, example: Given) -> Ready:
        """Return one step in a session of its own."""
        path = Path(self._folder.name) / f"step-{next(self._numbers)}.onnx"
        return _Session(self._graphs.add_step(step, example, path), self.conditions.threads)

    def close(self) -> None:
        """Remove the files."""
        self._graphs.close()
        self._folder.cleanup()


class BundleEngine(Engine):
    """Runs the stitches of a bundle through onnxruntime on the CPU; the network is not needed.

    Args:
        bundle: The bundle.
        threads: Threads of one call; as many as torch has if None.
    """

    name = OnnxRuntimeEngine.name
    builds = False

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        require("onnxruntime", "onnx")
        threads = torch.get_num_threads() if threads is None else threads
        super().__init__(Conditions(torch.device("cpu"), "fp32", threads))
        self.bundle = bundle

    def load(self, stitch: StitchLike) -> Ready:
        """Return a stitch in a session of its own.

        Raises:
            SpaceError: If the bundle does not have it.
            EngineError: If onnxruntime cannot open it.
        """
        return _Session(self.bundle.graph(stitch), self.conditions.threads)
