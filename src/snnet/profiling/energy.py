"""Energy, where the machine has a meter: Intel's RAPL for processors, the driver's counter for NVIDIA's GPUs."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import torch

from snnet.utils import gpu_energy, gpu_names

POWERCAP = Path("/sys/class/powercap")
SECONDS = 0.3
"""Least time over which energy is read: meters are renewed every 1 ms (RAPL) to 100 ms (GPUs)."""


Meter: TypeAlias = Callable[[], float]
"""Returns the joules that a device has used since some beginning: for all that runs on it, and when idle."""


class RaplMeter:
    """The processor packages of this machine.

    Args:
        packages: Directories of the kernel's powercap tree, each with `energy_uj`.

    Raises:
        OSError: If they cannot be read; most systems let only root.
    """

    def __init__(self, packages: list[Path]) -> None:
        self._packages = packages
        self._ranges = {package: _number(package / "max_energy_range_uj") for package in packages}
        self._last = {package: _number(package / "energy_uj") for package in packages}
        self._total = 0

    def __call__(self) -> float:
        """Return the joules used since this meter was made."""
        for package in self._packages:
            now = _number(package / "energy_uj")
            # The counter begins again at 0 after its range, every few minutes to hours.
            self._total += now - self._last[package] + (self._ranges[package] if now < self._last[package] else 0)
            self._last[package] = now
        return self._total / 1e6


def find_meter(device: torch.device, powercap: Path = POWERCAP) -> tuple[Meter | None, str]:
    """Return the meter of a device and its name, or None and why there is none."""
    try:
        if device.type == "cpu":
            # `intel-rapl:0` is a package; `intel-rapl:0:1` a part of it, and would count twice. AMD's are named so too.
            packages = sorted(path for path in powercap.glob("intel-rapl:*") if path.name.count(":") == 1)
            if packages:
                return RaplMeter(packages), "Intel RAPL"
            return None, f"there is no meter: {powercap} has no intel-rapl"
        if device.type == "cuda":
            if gpu_names():
                return gpu_energy(f"GPU-{torch.cuda.get_device_properties(device).uuid}"), "NVML"
            return None, "there is no meter: NVIDIA's driver does not answer"
    except OSError as error:
        return None, f"the meter cannot be read ({error})"
    return None, f"there is no meter for {device.type}"


def measure_energy(
    meter: Meter,
    run: Callable[[], object],
    milliseconds: float,
    wait: Callable[[], None],
    seconds: float = SECONDS,
) -> float:
    """Run something again and again for some time, and return the millijoules that one run took.

    Args:
        meter: Of the device that it runs on.
        run: Runs it once.
        milliseconds: What one run takes.
        wait: Waits until the device is done.
        seconds: Least time over which to measure.
    """
    count = max(1, math.ceil(1e3 * seconds / max(milliseconds, 1e-3)))
    wait()
    before = meter()
    for _ in range(count):
        run()
    wait()
    return 1e3 * (meter() - before) / count


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii"))
