# Tested in tests/profiling/test_profiling.py.
"""The measured columns of stitches, whole or from their steps, at every batch size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from torch import Tensor

from snnet.profiling.bench import Bench
from snnet.profiling.energy import EnergyMeter
from snnet.profiling.macs import step_macs
from snnet.profiling.steps import calibrate, choose_whole, plan_walks, relative_errors
from snnet.profiling.timing import summarize
from snnet.space import Step, Stitch
from snnet.table import ENERGY, ERROR, LATENCY, MEMORY, THROUGHPUT, at_batch

Columns = dict[str, dict[str, float]]
"""Id of a stitch -> column -> value."""


@dataclass
class Measured:
    """What was found.

    Attributes:
        columns: Values by stitch and column; predicted ones have an error bar in `..._error`.
        prediction: For each batch size at which latencies were predicted, what they are worth.
    """

    columns: Columns = field(default_factory=dict)
    prediction: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, columns: Mapping[str, Mapping[str, float]]) -> None:
        """Lay columns over those that there are."""
        for stitch, values in columns.items():
            self.columns.setdefault(stitch, {}).update(values)


def measure(bench: Bench, routes: Sequence[Stitch], meter: EnergyMeter | None) -> Measured:
    """Measure all routes at every batch size; with `blocks` in the settings, a few of them and their steps."""
    found = Measured()
    for batch in bench.settings.batch_sizes:
        images = bench.images(batch)
        inputs = bench.inputs(routes, images)
        if bench.settings.blocks:
            columns, worth = _from_steps(bench, routes, images, inputs)
            found.prediction[str(batch)] = worth
            found.add(columns)
        else:
            times, _ = bench.time(routes, (), images, inputs)
            found.add({stitch: summarize(values, batch) for stitch, values in times.items()})
            if meter is not None:
                energy = bench.energy(meter, {route: median(times[route.id]) for route in routes}, images)
                found.add({stitch: {at_batch(ENERGY, batch): value} for stitch, value in energy.items()})
        memory = bench.memory(routes, images, inputs)
        found.add({stitch: {at_batch(MEMORY, batch): value / 1e6} for stitch, value in memory.items()})
    return found


def _from_steps(
    bench: Bench, routes: Sequence[Stitch], images: Tensor, inputs: Mapping[Step, Tensor]
) -> tuple[Columns, dict[str, Any]]:
    """Return the latencies of all routes from those of their steps, and what they are worth."""
    batch = len(images)
    macs = step_macs(bench.net)
    steps = {route.id: bench.net.steps(route) for route in routes}
    rough = {stitch: float(sum(macs[step] for step in taken)) for stitch, taken in steps.items()}
    calibrating, checking = choose_whole(routes, rough, bench.settings.seed)
    walks = plan_walks(list(steps.values()))
    whole, parts = bench.time([*calibrating, *checking], walks, images, inputs)
    sums = {stitch: sum(median(parts[step]) for step in taken) for stitch, taken in steps.items()}
    middles = {stitch: median(times) for stitch, times in whole.items()}
    predicted = calibrate(sums, {route.id: middles[route.id] for route in calibrating})
    errors = relative_errors(predicted, {route.id: middles[route.id] for route in checking})
    bar = fmean(error**2 for error in errors.values()) ** 0.5
    columns = {stitch: _predicted(value, bar, batch) for stitch, value in predicted.items()}
    columns |= {stitch: summarize(times, batch) for stitch, times in whole.items()}
    return columns, _worth(errors, len(parts), len(calibrating))


def _predicted(milliseconds: float, bar: float, batch: int) -> dict[str, float]:
    values = {LATENCY: milliseconds, THROUGHPUT: 1e3 * batch / milliseconds}
    named = {at_batch(name, batch): value for name, value in values.items()}
    return named | {name + ERROR: bar * value for name, value in named.items()}


def _worth(errors: Mapping[str, float], steps: int, calibrating: int) -> dict[str, Any]:
    sizes = [abs(error) for error in errors.values()]
    return {
        "steps": steps,
        "calibrated_on": calibrating,
        "checked_on": len(sizes),
        "mean_error_percent": 100 * fmean(sizes),
        "worst_error_percent": 100 * max(sizes),
    }
