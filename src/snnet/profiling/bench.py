# Tested in tests/profiling/test_profiling.py.
"""One network on one engine: whole stitches and steps, made ready and timed together."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from snnet.network import Given, SNNet, after_step, replicate
from snnet.profiling.energy import Meter, measure_energy
from snnet.profiling.memory import memory_bytes
from snnet.profiling.steps import Walk
from snnet.profiling.timing import MeasureSettings, Stopwatch, run_rounds, summarize
from snnet.runtime.engines import EagerEngine, NetworkEngine, Ready
from snnet.space import Step, Stitch
from snnet.table import COST, StitchRow, doubts
from snnet.utils import Show, counted


@dataclass
class Bench:
    """Runs a network's stitches and steps on an engine, under that engine's conditions.

    Attributes:
        net: The network.
        engine: What makes stitches ready; each is made ready once, whatever the batch sizes.
        settings: How often, and with how many images.
        progress: Called after each round.
    """

    net: SNNet
    engine: NetworkEngine
    settings: MeasureSettings
    progress: Show = None
    _ready: dict[Stitch, Ready] = field(default_factory=dict)
    _rounds: int = 0

    def __post_init__(self) -> None:
        self.conditions = self.engine.conditions
        self.watch = Stopwatch(self.conditions.device)
        self.order = random.Random(self.settings.seed)
        self._total = self.settings.rounds * len(self.settings.batch_sizes)

    def images(self, batch: int) -> Tensor:
        """Return random images `(batch, C, H, W)`."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        images = torch.randn(batch, *self.net.input.size, generator=generator)
        return images.to(self.conditions.device, self.conditions.dtype)

    def inputs(self, routes: Iterable[Stitch], images: Tensor) -> dict[Step, Given]:
        """Return an input for each step of the routes, random but for the images, which stems are given.

        What a step receives has one shape whatever the route, because stitching layers map to just that shape. Steps
        with inputs of one shape share one tensor. A head over maps receives a tuple of them.
        """

        def shape_only(tensor: Tensor) -> Tensor:
            dtype = self.conditions.dtype if tensor.is_floating_point() else tensor.dtype
            return torch.empty_like(tensor, device="meta", dtype=dtype)

        replica = replicate(self.net, shape_only)
        shapes: dict[Step, Given] = {}
        outputs: dict[Step, Tensor] = {}

        def run(step: Step, given: Given) -> Tensor:
            if step not in outputs:
                shapes[step] = given
                outputs[step] = replica.run_step(step, given)
            return outputs[step]

        with torch.no_grad():
            for route in routes:
                features: Any = torch.empty_like(images, device="meta")
                maps: tuple[Tensor, ...] = ()
                for step in self.net.steps(route):
                    features, maps = after_step(step, features, maps, partial(run, step))
        tensors = {_kind(images): images}

        def filled(shape: Tensor) -> Tensor:
            if _kind(shape) not in tensors:
                empty = torch.empty_strided(
                    shape.shape, shape.stride(), dtype=shape.dtype, device=self.conditions.device
                )
                tensors[_kind(shape)] = empty.normal_()
            return tensors[_kind(shape)]

        return {
            step: tuple(map(filled, given)) if isinstance(given, tuple) else filled(given)
            for step, given in shapes.items()
        }

    def time(
        self,
        routes: Sequence[Stitch],
        walks: Sequence[Walk],
        images: Tensor,
        inputs: Mapping[Step, Given],
        costs: Mapping[Stitch, float],
    ) -> dict[Stitch | Step, list[float]]:
        """Time whole stitches and walks in the same rounds; return milliseconds by stitch and by step.

        Stitches whose times are unreliable (see `doubts`) are timed again in more rounds, and with them all walks; the
        later times count. The last of them may be unreliable still.

        Args:
            routes: Stitches to run whole.
            walks: Steps to time one by one.
            images: What stitches take.
            inputs: What steps take.
            costs: Multiply-adds of each stitch.
        """
        steps = dict.fromkeys(step for walk in walks for step in walk.steps)
        loaded = {step: self.engine.load_step(step, inputs[step]) for step in steps}
        # What an engine builds for a shape belongs to no round, not even where none warms up.
        for route in routes:
            self.load(route).prepare(images)
        for step, ready in loaded.items():
            ready.prepare(inputs[step])
        found: dict[Stitch | Step, list[float]] = {}
        settings, left, note = self.settings, list(routes), f"batch {len(images)}"
        for attempt in range(self.settings.again + 1):
            self._total += settings.rounds if attempt else 0
            trials: list[Callable[[], Iterator[tuple[Stitch | Step, float]]]] = [
                *(partial(self._time_whole, route, images) for route in left),
                *(partial(walk.time, loaded, inputs, self.watch) for walk in walks),
            ]
            found |= run_rounds(trials, settings, self.order, after_round=partial(self._report, note))
            rows = [
                StitchRow(place, route.id, {COST: costs[route], **summarize(found[route], 1)})
                for place, route in enumerate(routes)
            ]
            doubtful = doubts(rows)
            left = [route for route in routes if route.id in doubtful]
            if not left:
                break
            settings = replace(settings, repeats=2 * settings.repeats)
            note = f"batch {len(images)}, {counted(len(left), 'unreliable time')} again"
        for ready in loaded.values():
            ready.close()
        return found

    def memory(self, routes: Sequence[Stitch], images: Tensor, inputs: Mapping[Step, Given]) -> dict[str, int]:
        """Return the bytes that each stitch needs as plain PyTorch runs it, see `memory_bytes`."""
        eager = self.engine if isinstance(self.engine, EagerEngine) else EagerEngine(self.net, self.conditions)
        with torch.inference_mode():
            return memory_bytes(self.net, routes, images, inputs, eager)

    def energy(self, meter: Meter, times: Mapping[Stitch, float], images: Tensor) -> dict[str, float]:
        """Return the millijoules of each stitch, whose milliseconds are given; in random order."""
        return {
            route.id: measure_energy(meter, partial(self.load(route), images), times[route], self.watch.wait)
            for route in self.order.sample(list(times), len(times))
        }

    def load(self, route: Stitch) -> Ready:
        """Return a stitch, made ready at the first call."""
        if route not in self._ready:
            self._ready[route] = self.engine.load(route)
        return self._ready[route]

    def close(self) -> None:
        """Let go of all that was made ready."""
        for ready in self._ready.values():
            ready.close()
        self._ready.clear()

    def _time_whole(self, route: Stitch, images: Tensor) -> Iterator[tuple[Stitch, float]]:
        yield route, self.watch.time(self.load(route), images)[1]

    def _report(self, note: str) -> None:
        self._rounds += 1
        if self.progress:
            self.progress(self._rounds, self._total, note)


def _kind(tensor: Tensor) -> tuple[object, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype
