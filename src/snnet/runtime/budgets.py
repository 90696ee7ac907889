"""Where a budget comes from: set by hand or by a signal, read from a load or a sensor, or held by a deadline."""

import logging
import signal
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from snnet.errors import BudgetError
from snnet.utils import require

_LOG = logging.getLogger(__name__)

Reader: TypeAlias = Callable[[], float]
"""Returns a number that changes: a budget, or something that a budget is made of."""
Budgeting: TypeAlias = float | Reader
"""A fixed budget, or one that is read for every call."""


def as_reader(budget: Budgeting) -> Reader:
    """Return a budget as a function.

    Raises:
        BudgetError: If it is neither a number nor a function.
    """
    if callable(budget):
        return budget
    if isinstance(budget, bool) or not isinstance(budget, int | float):
        raise BudgetError(
            f"The budget is {budget!r}; accepted: a number, or a function without arguments that gives one."
        )
    return lambda: budget


class Setting:
    """A budget that is set from anywhere: another thread, a signal.

    Args:
        value: The budget at first.
    """

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self) -> float:
        """Return the budget."""
        return self.value

    def on_signal(self, number: signal.Signals, value: float) -> None:
        """Set the budget to `value` whenever this process gets a signal; call it in the main thread.

        Example:
            >>> budget = Setting(20.0)
            >>> budget.on_signal(signal.SIGUSR1, 5.0)  # kill -USR1 PID
        """

        def take(*_: Any) -> None:
            self.value = value

        signal.signal(number, take)


class Ramp:
    """A budget that falls or rises with a reading, in a straight line between two points and level beyond them.

    Args:
        reading: Gives the reading: the length of a queue, a temperature, the charge of a battery.
        start: Reading and budget of one end.
        stop: Reading and budget of the other.

    Raises:
        BudgetError: If both ends have one reading.

    Example:
        >>> budget = Ramp(queue.qsize, (0, 20.0), (32, 4.0))  # 20 ms while idle, 4 ms when 32 wait
    """

    def __init__(self, reading: Reader, start: tuple[float, float], stop: tuple[float, float]) -> None:
        if start[0] == stop[0]:
            raise BudgetError(f"Both ends of the ramp are at {start[0]}; give two different readings.")
        self.reading = reading
        self.start, self.stop = start, stop

    def __call__(self) -> float:
        """Return the budget for the reading of this moment."""
        share = (self.reading() - self.start[0]) / (self.stop[0] - self.start[0])
        return self.start[1] + min(max(share, 0.0), 1.0) * (self.stop[1] - self.start[1])


class Polled:
    """A reading that is taken in a thread of its own, for sensors too slow to be asked for every call.

    Args:
        reading: Takes the reading.
        seconds: Time between two readings.
    """

    def __init__(self, reading: Reader, seconds: float = 1.0) -> None:
        self.reading, self.seconds = reading, seconds
        self._value = reading()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="snnet-polled", daemon=True)
        self._thread.start()

    def __call__(self) -> float:
        """Return the last reading."""
        return self._value

    def close(self) -> None:
        """Read no more, once a reading under way is over."""
        self._over.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._over.wait(self.seconds):
            try:
                self._value = self.reading()
            except Exception:
                # A sensor may be away for a moment; the last value stands until it is back.
                _LOG.exception("a reading failed")


class Deadline:
    """A latency budget that shrinks when calls take longer than the table says, as on a machine that others load.

    The ratio of the time that a call took to the time it was to take follows what is measured, fast when things get
    worse and slowly when they get better. The budget is the deadline divided by it.

    Args:
        milliseconds: Within which a call must be over.
        slower: Share of the way that the ratio goes to a larger one, per call.
        faster: The same to a smaller one.

    Raises:
        BudgetError: If the deadline is not above 0, or a share not within 0 to 1.
    """

    def __init__(self, milliseconds: float, *, slower: float = 0.5, faster: float = 0.05) -> None:
        if not (milliseconds > 0 and 0 < slower <= 1 and 0 < faster <= 1):
            raise BudgetError(
                f"milliseconds is {milliseconds}, slower {slower} and faster {faster}; accepted: a deadline above 0, "
                "and shares above 0 and up to 1."
            )
        self.milliseconds, self.slower, self.faster = milliseconds, slower, faster
        self.ratio = 1.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the latency that the table may give for a stitch that shall be over in time."""
        return self.milliseconds / self.ratio

    def observe(self, expected: float, measured: float) -> None:
        """Take into account how long a call was to take, and took, in the same unit."""
        with self._lock:
            found = measured / expected
            self.ratio += (self.slower if found > self.ratio else self.faster) * (found - self.ratio)


def battery_percent() -> float:
    """Return the charge of the battery in percent; 100 while it is being charged, or where there is none.

    Raises:
        ExtraError: If psutil is not installed.
    """
    battery = getattr(require("psutil", "sensors"), "sensors_battery", lambda: None)()
    return 100.0 if battery is None or battery.power_plugged else float(battery.percent)


def temperature() -> float:
    """Return the highest temperature of the processor in degrees Celsius.

    Raises:
        BudgetError: If this machine shows none.
        ExtraError: If psutil is not installed.
    """
    found: dict[str, list[Any]] = getattr(require("psutil", "sensors"), "sensors_temperatures", dict)()
    chips = [name for name in ("coretemp", "k10temp", "cpu_thermal", "zenpower", "acpitz") if found.get(name)]
    readings = [entry.current for name in chips[:1] or found for entry in found[name]]
    if not readings:
        raise BudgetError("This machine shows no temperature; follow `psutil.cpu_percent`, or a reading of your own.")
    return float(max(readings))
