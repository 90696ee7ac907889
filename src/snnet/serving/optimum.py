"""What a policy could have reached at best, had it known all arrivals: a bound for short traces on one worker."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from snnet.errors import BudgetError
from snnet.serving.options import Options

_Labels = tuple[NDArray[np.float64], NDArray[np.float64]]
_EPSILON = 1e-12


def offline_optimum(
    trace: Sequence[float] | NDArray[np.float64], options: Options, *, slo_ms: float, resolution: float = 0.0
) -> float:
    """Return the largest possible sum of scores over requests answered in time, divided by the number of requests.

    One worker, all requests of one image and with the same time until their deadlines. Then some best plan answers in
    order of arrival, in batches of neighbours: of two requests that are answered in the wrong order, exchanging them
    keeps both in time, for the earlier one has come by the earlier start, and the later one's deadline is later; and
    where a batch leaves one out between its first and its last, that one can take the last one's place. So a dynamic
    program over requests in order is exact: for each request it keeps, of all ways to deal with those before it, those
    that no other beats in both the time at which the worker is free and the sum of scores.

    Args:
        trace: When requests arrive, in seconds, in order.
        options: What can be done.
        slo_ms: Milliseconds from arrival to deadline.
        resolution: Seconds to which ends of batches are rounded down, which bounds the work for longer traces; the
            result is then an upper bound. 0 is exact.

    Raises:
        BudgetError: If the trace is empty or not in order.

    Returns:
        The value that `Simulation.value` can reach at most.
    """
    arrivals = np.asarray(trace, float)
    if not len(arrivals) or (np.diff(arrivals) < 0).any():
        raise BudgetError(f"A trace of {len(arrivals)} arrivals; accepted: one and more, in order.")
    count, due = len(arrivals), arrivals + slo_ms / 1e3 + 1e-9
    menus = [_menu(options, images) for images in range(1, options.max_batch + 1)]
    reached: list[list[_Labels]] = [[] for _ in range(count + 1)]
    reached[0].append((np.array([-np.inf]), np.zeros(1)))
    for first in range(count):
        times, values = _best(reached[first])
        reached[first] = []
        reached[first + 1].append((times, values))
        for images, (seconds, scores) in enumerate(menus[: count - first], 1):
            ends = np.maximum(times, arrivals[first + images - 1])[:, None] + seconds
            fits = ends <= due[first]
            if not fits.any():
                continue
            if resolution:
                ends = np.floor(ends / resolution) * resolution
            reached[first + images].append((ends[fits], (values[:, None] + images * scores)[fits]))
    return float(_best(reached[count])[1].max()) / count


def _menu(options: Options, images: int) -> _Labels:
    """Return seconds and scores of the rows that no other beats with so many images."""
    seconds, scores = options.latencies[:, images - 1], options.scores
    return _best([(seconds[np.isfinite(seconds)], scores[np.isfinite(seconds)])])


def _best(labels: list[_Labels]) -> _Labels:
    """Return the times and values that no other beats in both, in order."""
    times = np.concatenate([one for one, _ in labels])
    values = np.concatenate([one for _, one in labels])
    order = np.lexsort((-values, times))
    times, values = times[order], values[order]
    highest = np.maximum.accumulate(values)
    better = np.concatenate([[True], values[1:] > highest[:-1] + _EPSILON])
    return times[better], values[better]
