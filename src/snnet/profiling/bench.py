# Tested in tests/profiling/test_profiling.py.
"""One network on one engine: whole stitches and steps, made ready and timed together."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snnet.network import SNNet
from snnet.profiling.energy import EnergyMeter, measure_energy
from snnet.profiling.inputs import random_images, step_inputs
from snnet.profiling.memory import memory_bytes
from snnet.profiling.settings import MeasureSettings
from snnet.profiling.steps import Walk
from snnet.profiling.timing import Stopwatch, run_rounds, whole
from snnet.runtime.engines import Conditions, EagerEngine, NetworkEngine, Ready
from snnet.space import Step, Stitch
from snnet.utils import Show


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
        self.watch = Stopwatch(self.conditions.device)
        self.order = random.Random(self.settings.seed)

    @property
    def conditions(self) -> Conditions:
        """Device, precision and threads."""
        return self.engine.conditions

    def images(self, batch: int) -> Tensor:
        """Return random images `(batch, C, H, W)`."""
        return random_images(self.net, batch, self.conditions, self.settings.seed)

    def inputs(self, routes: Sequence[Stitch], images: Tensor) -> dict[Step, Tensor]:
        """Return an input for each step of the routes."""
        return step_inputs(self.net, routes, images, self.conditions)

    def time(
        self, routes: Sequence[Stitch], walks: Sequence[Walk], images: Tensor, inputs: Mapping[Step, Tensor]
    ) -> tuple[dict[str, list[float]], dict[Step, list[float]]]:
        """Time whole stitches and walks in the same rounds.

        Returns:
            Milliseconds by the id of each stitch, and by step.
        """
        steps = dict.fromkeys(step for walk in walks for step in walk.steps)
        loaded = {step: self.engine.load_step(step, inputs[step]) for step in steps}
        # What an engine builds for a shape belongs to no round, not even where none warms up.
        for route in routes:
            self.load(route).prepare(images)
        for step, ready in loaded.items():
            ready.prepare(inputs[step])
        trials = [whole(route, self.load(route), images, self.watch) for route in routes]
        walking = [walk.trial(loaded, inputs, self.watch) for walk in walks]
        found = run_rounds(
            [*trials, *walking],
            warmup=self.settings.warmup,
            repeats=self.settings.repeats,
            order=self.order,
            after_round=lambda: self._report(len(images)),
        )
        for ready in loaded.values():
            ready.close()
        stitches = {key.id: times for key, times in found.items() if isinstance(key, Stitch)}
        return stitches, {key: times for key, times in found.items() if isinstance(key, Step)}

    def memory(self, routes: Sequence[Stitch], images: Tensor, inputs: Mapping[Step, Tensor]) -> dict[str, int]:
        """Return the bytes that each stitch needs as plain PyTorch runs it, see `memory_bytes`."""
        own = isinstance(self.engine, EagerEngine)
        eager = self.engine if isinstance(self.engine, EagerEngine) else EagerEngine(self.net, self.conditions)
        try:
            with torch.inference_mode():
                return memory_bytes(self.net, routes, images, inputs, eager)
        finally:
            if not own:
                eager.close()

    def energy(self, meter: EnergyMeter, times: Mapping[Stitch, float], images: Tensor) -> dict[str, float]:
        """Return the millijoules of each stitch, whose milliseconds are given; in random order."""
        return {
            route.id: measure_energy(meter, lambda r=route: self.load(r)(images), times[route], self.watch.wait)  # type: ignore[misc]
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

    def _report(self, batch: int) -> None:
        self._rounds += 1
        if self.progress:
            total = self.settings.rounds * len(self.settings.batch_sizes)
            self.progress(self._rounds, total, f"batch {batch}")
