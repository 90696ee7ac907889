"""torch.compile's compiler for each step, so that a stitch of known steps costs none; CUDA graphs of whole ones."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from snnet.errors import EngineError
from snnet.network import Given, SNNet, StitchLike, after_step, extract_step
from snnet.runtime.engines.cuda_graphs import CudaGraphs
from snnet.runtime.engines.eager import serving_replica, use_onednn
from snnet.runtime.engines.engine import ENGINES, Conditions, NetworkEngine, Ready
from snnet.runtime.engines.lowered import lower, several
from snnet.space import Step
from snnet.utils import torch_threads

Run = Callable[[Any], Tensor]


@ENGINES.register("compile")
class CompileEngine(NetworkEngine):
    """Runs steps compiled by Inductor, the compiler behind `torch.compile`.

    Steps are compiled and not stitches: a stitch whose steps were all compiled before is ready in milliseconds, and
    blocks that differ in their weights alone share one compilation. There are no guards and no recompilation: a
    stitch knows the shapes that it was compiled for. Weights stay the network's own tensors.

    Args:
        net: The network.
        conditions: Device, precision and threads. The threads are built into what is compiled.
        batch_sizes: Images per batch that `load` compiles for; `Ready.prepare` adds others.
        dynamic: Compile once for every batch of two images and more. It costs some speed.
        cuda_graphs: Replay a whole stitch as one CUDA graph where the device is a GPU of NVIDIA's.

    Raises:
        EngineError: If there is no compiler for the device.
    """

    name = "compile"

    def __init__(
        self,
        net: SNNet,
        conditions: Conditions | None = None,
        *,
        batch_sizes: Sequence[int] = (1,),
        dynamic: bool = False,
        cuda_graphs: bool = True,
    ) -> None:
        super().__init__(net, conditions)
        if self.conditions.device.type == "cpu":
            _check_compiler()
        self.batch_sizes, self.dynamic = tuple(batch_sizes), dynamic
        self.cuda_graphs = cuda_graphs and self.conditions.device.type == "cuda"
        self.replica = serving_replica(net, self.conditions)
        use_onednn(self.replica)
        self._compiled: dict[str, Callable[..., Any]] = {}
        self._steps: dict[tuple[Step, str, str], Run] = {}
        # Tracing changes modules for a moment, and nothing is gained by compiling one thing twice.
        self._lock = threading.RLock()

    def load(self, stitch: StitchLike) -> Ready:
        """Compile the steps of a stitch that are new, for `batch_sizes`."""
        pairs = list(zip(self.replica.steps(stitch), self.replica.prefixes(stitch), strict=True))
        ready = _Compiled(self, pairs)
        for batch in self.batch_sizes:
            shape = (batch, *self.replica.input.size)
            ready.prepare(torch.zeros(shape, device=self.conditions.device, dtype=self.conditions.dtype))
        return ready

    def load_step(self, step: Step, example: Given) -> Ready:
        """Compile one step for features of the example's shape."""
        ready = _Compiled(self, [(step, "")])
        ready.prepare(example)
        return ready

    def compiled_step(self, step: Step, prefix: str, features: Given) -> Run:
        """Return a step compiled for features of this shape, from an earlier time or anew."""
        # The same step has statistics of its own after other beginnings, as far as they were measured.
        prefix = prefix if prefix in self.replica.statistics.kept else ""
        with self._lock:
            key = (step, prefix, self.shape_key(features))
            if key not in self._steps:
                self._steps[key] = self._compile(step, prefix, features)
            return self._steps[key]

    def shape_key(self, features: Given) -> str:
        """Return a text that is equal for features which one compilation serves."""
        if isinstance(features, tuple):
            # Maps may be views of features, and what is compiled holds for one layout.
            return " and ".join(f"{self.shape_key(each)} {each.stride()}" for each in features)
        batch = "any" if self.dynamic and features.shape[0] > 1 else features.shape[0]
        return f"{batch} {tuple(features.shape[1:])} {features.dtype} {features.device}"

    def _compile(self, step: Step, prefix: str, features: Given) -> Run:
        dynamic = self.dynamic and len(several(features)[0]) > 1
        try:
            lowered = lower(extract_step(self.replica, step, prefix), features, dynamic=dynamic)
            if lowered.key not in self._compiled:
                # Inductor writes the number of threads into its loops.
                with torch_threads(self.conditions.threads), torch.no_grad():
                    compiled = torch._inductor.compile(lowered.graph, list(lowered.examples))
                self._compiled[lowered.key] = compiled
        except Exception as error:
            raise EngineError(
                f"{step} cannot be compiled ({type(error).__name__}: {str(error)[:300]}); the engine 'eager' runs it."
            ) from error
        run, weights = self._compiled[lowered.key], lowered.weights

        def run_step(features: Given) -> Tensor:
            result: Tensor = run(*weights, *several(features))[0]
            return result

        return run_step


class _Compiled(Ready):
    def __init__(self, engine: CompileEngine, pairs: Sequence[tuple[Step, str]]) -> None:
        self.engine, self.pairs = engine, pairs
        self.runs: dict[str, Run] = {}

    def serves(self, images: Given) -> bool:
        return self.engine.shape_key(images) in self.runs

    def prepare(self, images: Given) -> None:
        self._run_for(images)

    def __call__(self, images: Given) -> Tensor:
        run = self._run_for(images)
        with torch.inference_mode():
            return run(images)

    def _run_for(self, images: Given) -> Run:
        key = self.engine.shape_key(images)
        if key not in self.runs:
            self.runs[key] = self._build(images)
        return self.runs[key]

    def _build(self, images: Given) -> Run:
        steps: list[tuple[Step, Run]] = []

        def compiled(step: Step, prefix: str, given: Given) -> Tensor:
            steps.append((step, self.engine.compiled_step(step, prefix, given)))
            return steps[-1][1](given)

        features: Any = tuple(map(_laid_alike, images)) if isinstance(images, tuple) else images.detach().clone()
        maps: tuple[Tensor, ...] = ()
        with torch.no_grad():
            for step, prefix in self.pairs:
                features, maps = after_step(step, features, maps, partial(compiled, step, prefix))

        def run_all(images: Given) -> Tensor:
            features: Any = images
            maps: tuple[Tensor, ...] = ()
            for step, run_step in steps:
                features, maps = after_step(step, features, maps, run_step)
            return features  # type: ignore[no-any-return]

        # Of a step alone that puts a map aside the map is what counts.
        run = steps[0][1] if len(steps) == 1 else run_all
        if not self.engine.cuda_graphs:
            return run
        graphs = CudaGraphs(run)
        # Recorded now, and not while the first batch waits.
        with torch.inference_mode():
            graphs(images)
        return graphs


def _laid_alike(tensor: Tensor) -> Tensor:
    """Return a copy with gaps where a tensor has some, which `clone` closes."""
    empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return empty.copy_(tensor.detach())


def _check_compiler() -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except (InvalidCxxCompiler, RuntimeError, OSError) as error:
        raise EngineError(
            "The engine 'compile' needs a C++ compiler, and none was found; install one (Debian: g++), name it in the "
            "environment variable CXX, or use the engine 'eager'."
        ) from error
