"""Energy, where the machine has a meter: Intel's RAPL for processors, the driver's counter for NVIDIA's GPUs."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import torch

from snnet.utils import gpu_energy, gpu_names

POWERCAP = Path("/sys/class/powercap")
SECONDS = 0.3
"""Least time over which energy is read: meters are renewed every 1 ms (RAPL) to 100 ms (GPUs)."""


class EnergyMeter(ABC):
    """Counts the energy of a device, of everything that runs on it and of what it takes when idle."""

    name: ClassVar[str]

    @abstractmethod
    def joules(self) -> float:
        """Return the energy used since some beginning; it never falls."""


class RaplMeter(EnergyMeter):
    """The processor packages of this machine.

    Args:
        packages: Directories of the kernel's powercap tree, each with `energy_uj`.

    Raises:
        OSError: If they cannot be read; most systems let only root.
    """

    name = "Intel RAPL"

    def __init__(self, packages: list[Path]) -> None:
        self._packages = packages
        self._ranges = {package: _number(package / "max_energy_range_uj") for package in packages}
        self._last = {package: _number(package / "energy_uj") for package in packages}
        self._total = 0

    def joules(self) -> float:
        """Return the energy used since this meter was made."""
        for package in self._packages:
            now = _number(package / "energy_uj")
            # The counter begins again at 0 after its range, every few minutes to hours.
            self._total += now - self._last[package] + (self._ranges[package] if now < self._last[package] else 0)
            self._last[package] = now
        return self._total / 1e6


class NvmlMeter(EnergyMeter):
    """One NVIDIA GPU.

    Args:
        read: Gives its energy in joules.
    """

    name = "NVML"

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read

    def joules(self) -> float:
        """Return the energy used since the driver was loaded."""
        return self._read()


def find_meter(device: torch.device, powercap: Path = POWERCAP) -> tuple[EnergyMeter | None, str]:
    """Return the meter of a device and its name, or None and why there is none."""
    try:
        if device.type == "cpu":
            return _processor_meter(powercap)
        if device.type == "cuda":
            return _gpu_meter(device)
    except OSError as error:
        return None, f"the meter cannot be read ({error})"
    return None, f"there is no meter for {device.type}"


def measure_energy(
    meter: EnergyMeter,
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
    before = meter.joules()
    for _ in range(count):
        run()
    wait()
    return 1e3 * (meter.joules() - before) / count


def _processor_meter(powercap: Path) -> tuple[EnergyMeter | None, str]:
    # `intel-rapl:0` is a package; `intel-rapl:0:1` is a part of it, and would count twice. AMD's bear the name too.
    packages = sorted(p for p in _entries(powercap) if p.name.startswith("intel-rapl:") and p.name.count(":") == 1)
    if not packages:
        return None, f"there is no meter: {powercap} has no intel-rapl"
    return RaplMeter(packages), RaplMeter.name


def _gpu_meter(device: torch.device) -> tuple[EnergyMeter | None, str]:
    if not gpu_names():
        return None, "there is no meter: NVIDIA's driver does not answer"
    return NvmlMeter(gpu_energy(f"GPU-{torch.cuda.get_device_properties(device).uuid}")), NvmlMeter.name


def _entries(directory: Path) -> Iterator[Path]:
    return directory.iterdir() if directory.is_dir() else iter(())


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii"))
