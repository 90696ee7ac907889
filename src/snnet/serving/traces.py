"""When requests arrive: read from a file, or drawn from a seed. All are seconds in order, an array `(N,)`."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snnet.errors import DataError

Arrivals = NDArray[np.float64]
"""Seconds at which requests arrive, in order `(N,)`."""


def read_arrivals(path: str | Path) -> Arrivals:
    """Read arrival times from a text file, which may be compressed by gzip.

    Args:
        path: The file: seconds, one number a line, in any order.

    Returns:
        The times in order, the first at 0.

    Raises:
        DataError: If the file is missing, or is no such file.
    """
    source = Path(path)
    if not source.is_file():
        raise DataError(f"There is no file of arrival times at {source}.")
    try:
        data = source.read_bytes()
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        times = np.sort(np.array(text.decode().split(), float))
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{source} is no file of arrival times, one number of seconds a line: {error}.") from None
    if not len(times) or not np.isfinite(times).all():
        raise DataError(f"{source} holds {len(times)} times, not all of them finite; accepted: one and more.")
    arrivals: Arrivals = times - times[0]
    return arrivals


def gamma_arrivals(rate: float, count: int, *, cv2: float = 1.0, seed: int = 0) -> Arrivals:
    """Draw arrivals with independent gaps of a gamma distribution.

    Args:
        rate: Requests per second.
        count: How many there are.
        cv2: Squared coefficient of variation of the gaps: 1 is a Poisson process, more is burstier.
        seed: Of the draw.

    Returns:
        The times, the first a gap after 0.

    Raises:
        DataError: If a number is not above 0.
    """
    _check(rate=rate, count=count, cv2=cv2)
    gaps = np.random.default_rng(seed).gamma(1 / cv2, cv2 / rate, count)
    return np.cumsum(gaps)


def ramp_arrivals(start: float, stop: float, seconds: float, *, seed: int = 0) -> Arrivals:
    """Draw arrivals of a Poisson process whose rate goes in a straight line from one value to another.

    Args:
        start: Requests per second at the beginning.
        stop: The same at the end.
        seconds: How long it takes.
        seed: Of the draw.

    Returns:
        The times, from 0 to `seconds`.

    Raises:
        DataError: If a number is negative, or all are 0.
    """
    top = max(start, stop)
    _check(seconds=seconds, fastest=top)
    if min(start, stop) < 0:
        raise DataError(f"The rate goes from {start} to {stop}; accepted: 0 and more requests per second.")
    random = np.random.default_rng(seed)
    times = np.sort(random.uniform(0, seconds, random.poisson(top * seconds)))
    rates = start + (stop - start) * times / seconds
    kept: Arrivals = times[random.uniform(0, top, len(times)) < rates]
    return kept


def scaled_to(arrivals: Arrivals, rate: float) -> Arrivals:
    """Stretch or squeeze time so that requests arrive at a rate on average.

    Args:
        arrivals: Times in order, two and more.
        rate: Requests per second, between the first and the last.

    Returns:
        The times, the first at 0.

    Raises:
        DataError: If the rate is not above 0, or all arrive at once.
    """
    _check(rate=rate)
    span = arrivals[-1] - arrivals[0] if len(arrivals) else 0.0
    if span <= 0:
        raise DataError(f"{len(arrivals)} requests arrive within {span} seconds; their rate cannot be changed.")
    scaled: Arrivals = (arrivals - arrivals[0]) * ((len(arrivals) - 1) / rate / span)
    return scaled


def _check(**values: float) -> None:
    faults = [f"{name} is {value}" for name, value in values.items() if not value > 0]
    if faults:
        raise DataError(f"Arrivals cannot be drawn: {', '.join(faults)}; accepted: above 0.")
