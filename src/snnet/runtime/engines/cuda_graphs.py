# Tested in tests/runtime/engines/test_compile.py.
"""What runs on a GPU, recorded once for each shape and replayed as one launch."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnet.network import Given
from snnet.runtime.engines.lowered import several


@dataclass(frozen=True)
class _Captured:
    """A graph and the places it reads from and writes to."""

    graph: torch.cuda.CUDAGraph
    images: tuple[Tensor, ...]
    logits: Tensor


class CudaGraphs:
    """Records a function of tensors the first time that a shape comes, and replays it from then on.

    A graph reads and writes places of its own, so calls take turns, and what they return is a copy.

    Args:
        run: Does all its work on the GPU, and the same work for tensors of the same shape.
    """

    def __init__(self, run: Callable[[Any], Tensor]) -> None:
        self.run = run
        self._captured: dict[tuple[tuple[int, ...], ...], _Captured] = {}
        self._lock = threading.Lock()
        self._read: torch.cuda.Event | None = None

    def __call__(self, images: Given) -> Tensor:
        """Return what `run` returns."""
        # Streams and graphs are of the current device, which may be another than that of the images.
        given = several(images)
        with self._lock, torch.cuda.device(given[0].device):
            stream = torch.cuda.current_stream()
            if self._read is not None:
                # The call before may be under way still, on a stream of another thread.
                stream.wait_event(self._read)
            shapes = tuple(tuple(each.shape) for each in given)
            captured = self._captured.get(shapes)
            if captured is None:
                captured = self._captured[shapes] = self._capture(images)
            for place, each in zip(captured.images, given, strict=True):
                place.copy_(each)
            captured.graph.replay()
            logits = captured.logits.clone()
            self._read = stream.record_event()
            return logits

    def _capture(self, images: Given) -> _Captured:
        places = tuple(each.clone() for each in several(images))
        given: Given = places if isinstance(images, tuple) else places[0]
        # Recording must not begin on the default stream, and what ran before must be over.
        side = torch.cuda.Stream(places[0].device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # in which libraries choose their kernels
                self.run(given)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may answer, and allocate, meanwhile. Given no stream, torch would take one of the first device
        # that was ever used.
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            logits = self.run(given)
        return _Captured(graph, places, logits)
