# Tested in tests/runtime/engines/test_compile.py.
"""A function on a GPU replayed as one CUDA graph per shape: one launch in place of hundreds."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class _Captured:
    """A graph and the places it reads from and writes to."""

    graph: torch.cuda.CUDAGraph
    images: Tensor
    logits: Tensor


class CudaGraphs:
    """Records a function of one tensor the first time that a shape comes, and replays it from then on.

    A graph reads and writes places of its own, so calls take turns, and what they return is a copy.

    Args:
        run: Does all its work on the GPU, and the same work for tensors of the same shape.
        warmup: Calls before recording; libraries choose their kernels in them.
    """

    def __init__(self, run: Callable[[Tensor], Tensor], warmup: int = 3) -> None:
        self.run, self.warmup = run, warmup
        self._captured: dict[tuple[int, ...], _Captured] = {}
        self._lock = threading.Lock()
        self._read: torch.cuda.Event | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Return what `run` returns."""
        # Streams and graphs are of the current device, which may be another than that of the images.
        with self._lock, torch.cuda.device(images.device):
            stream = torch.cuda.current_stream()
            if self._read is not None:
                # The call before may be under way still, on a stream of another thread.
                stream.wait_event(self._read)
            captured = self._captured.get(tuple(images.shape))
            if captured is None:
                captured = self._captured[tuple(images.shape)] = self._capture(images)
            captured.images.copy_(images)
            captured.graph.replay()
            logits = captured.logits.clone()
            self._read = stream.record_event()
            return logits

    def _capture(self, images: Tensor) -> _Captured:
        given = images.clone()
        # Recording must not begin on the default stream, and what ran before must be over.
        side = torch.cuda.Stream(images.device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(self.warmup):
                self.run(given)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may answer, and allocate, meanwhile. Given no stream, torch would take one of the first device
        # that was ever used.
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            logits = self.run(given)
        return _Captured(graph, given, logits)
