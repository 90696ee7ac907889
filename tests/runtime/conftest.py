"""A small network with a table, and an engine that tests hold in their hands."""

import threading
from collections.abc import Callable

import pytest
from torch import Tensor

from snnet.network import SNNet, StitchLike
from snnet.runtime.engines import Conditions, EagerEngine, Ready
from snnet.space import Stitch
from snnet.table import StitchRow, StitchTable


class WatchedReady(Ready):
    """An eager stitch that knows whether it was closed, and holds some memory."""

    def __init__(self, inner: Ready, nbytes: int, *, only_prepared: bool = False) -> None:
        self.inner, self.nbytes, self.closed, self.only_prepared = inner, nbytes, 0, only_prepared
        self.shapes: set[tuple[int, ...]] = set()
        self.during: Callable[[], object] = lambda: None

    def serves(self, images: Tensor) -> bool:
        return not self.only_prepared or tuple(images.shape) in self.shapes

    def prepare(self, images: Tensor) -> None:
        self.shapes.add(tuple(images.shape))
        super().prepare(images)

    def __call__(self, images: Tensor) -> Tensor:
        assert not self.closed
        self.during()
        assert not self.closed
        return self.inner(images)

    def close(self) -> None:
        self.closed += 1


class WatchedEngine(EagerEngine):
    """Notes who loads what in which thread; loads only while the gate is open, and fails where it is told to."""

    def __init__(
        self, net: SNNet, conditions: Conditions | None = None, *, nbytes: int = 0, only_prepared: bool = False
    ) -> None:
        super().__init__(net, conditions)
        self.nbytes, self.only_prepared = nbytes, only_prepared
        self.gate = threading.Event()
        self.gate.set()
        self.failing: set[Stitch] = set()
        self.loads: list[tuple[Stitch, str]] = []
        self.made: dict[Stitch, WatchedReady] = {}

    def load(self, stitch: StitchLike) -> WatchedReady:
        route = self.net.space.find(stitch)
        if threading.current_thread() is not threading.main_thread():
            assert self.gate.wait(20)
        self.loads.append((route, threading.current_thread().name))
        if route in self.failing:
            raise RuntimeError("no such kernel")
        self.made[route] = WatchedReady(super().load(route), self.nbytes, only_prepared=self.only_prepared)
        return self.made[route]


@pytest.fixture
def net(tiny_net: SNNet) -> SNNet:
    """Stitch n takes n + 1 ms and scores 10 + n percent: all lie on the frontier, cheapest first."""
    rows = (
        StitchRow(n, route.id, {"macs": 100.0 * (n + 1), "top1": 10.0 + n, "latency_ms": n + 1.0})
        for n, route in enumerate(tiny_net.space)
    )
    tiny_net.table = StitchTable(rows)
    return tiny_net
