# Tested in tests/profiling/test_profiling.py.
"""The measured columns of stitches, whole or from their steps, at every batch size."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

from torch import Tensor

from snnet.network import Given
from snnet.profiling.bench import Bench
from snnet.profiling.costs import step_macs
from snnet.profiling.energy import Meter
from snnet.profiling.steps import calibrate, choose_whole, plan_walks
from snnet.profiling.timing import summarize
from snnet.space import Step, Stitch
from snnet.table import ENERGY, ERROR, LATENCY, MEMORY, THROUGHPUT, at_batch

Columns = dict[str, dict[str, float]]
"""Id of a stitch -> column -> value."""


def measure(bench: Bench, routes: Sequence[Stitch], meter: Meter | None) -> tuple[Columns, dict[str, dict[str, Any]]]:
    """Measure all routes at every batch size; with `blocks` in the settings, a few of them and their steps.

    Returns:
        Values by stitch and column; predicted ones have an error bar in `..._error`. And for each batch size at which
        latencies were predicted, what they are worth.
    """
    found: Columns = {route.id: {} for route in routes}
    worth, macs = {}, step_macs(bench.net)
    costs = {route: float(sum(macs[step] for step in bench.net.steps(route))) for route in routes}
    for batch in bench.settings.batch_sizes:
        images = bench.images(batch)
        inputs = bench.inputs(routes, images)
        if bench.settings.blocks:
            columns, worth[str(batch)] = _from_steps(bench, costs, images, inputs)
        else:
            times = bench.time(routes, (), images, inputs, costs)
            columns = {route.id: summarize(times[route], batch) for route in routes}
            if meter is not None:
                energy = bench.energy(meter, {route: median(times[route]) for route in routes}, images)
                for stitch, millijoules in energy.items():
                    columns[stitch][at_batch(ENERGY, batch)] = millijoules
        for stitch, size in bench.memory(routes, images, inputs).items():
            found[stitch] |= columns[stitch] | {at_batch(MEMORY, batch): size / 1e6}
    return found, worth


def _from_steps(
    bench: Bench, costs: Mapping[Stitch, float], images: Tensor, inputs: Mapping[Step, Given]
) -> tuple[Columns, dict[str, Any]]:
    """Return the latencies of all routes, whose multiply-adds are given, from their steps', and what they are worth."""
    batch, steps = len(images), {route: bench.net.steps(route) for route in costs}
    calibrating, checking = choose_whole(list(costs), costs, bench.settings.seed)
    times = bench.time([*calibrating, *checking], plan_walks(list(steps.values())), images, inputs, costs)
    middles = {key: median(found) for key, found in times.items()}
    sums = {route: sum(middles[step] for step in taken) for route, taken in steps.items()}
    predicted = calibrate(sums, {route: middles[route] for route in calibrating})
    errors = [abs(predicted[route] / middles[route] - 1) for route in checking]
    bar = fmean(error**2 for error in errors) ** 0.5
    columns = {}
    for route, milliseconds in predicted.items():
        values = {LATENCY: milliseconds, THROUGHPUT: 1e3 * batch / milliseconds}
        named = {at_batch(name, batch): value for name, value in values.items()}
        columns[route.id] = named | {name + ERROR: bar * value for name, value in named.items()}
    columns |= {route.id: summarize(times[route], batch) for route in (*calibrating, *checking)}
    return columns, {
        "steps": sum(isinstance(key, Step) for key in times),
        "calibrated_on": len(calibrating),
        "checked_on": len(errors),
        "mean_error_percent": 100 * fmean(errors),
        "worst_error_percent": 100 * max(errors),
    }
