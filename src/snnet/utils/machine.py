"""The machine at hand, as far as it decides how fast something runs, and what NVIDIA's driver says of its GPUs."""

import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from snnet.utils.amounts import counted

_CPUINFO, _BOARD = Path("/proc/cpuinfo"), Path("/proc/device-tree/model")


@dataclass(frozen=True)
class Machine:
    """What must agree for a latency measured on one machine to hold on another.

    Attributes:
        cpu: Model of the processor.
        cores: Processors that the system counts.
        gpus: Names of the GPUs; of a measurement, of the one it was made on.
    """

    cpu: str
    cores: int
    gpus: tuple[str, ...] = ()

    @classmethod
    def here(cls) -> "Machine":
        """Return the machine that this runs on. GPUs are those that NVIDIA's driver knows."""
        return cls(_cpu(), os.cpu_count() or 1, gpu_names())

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Machine":
        """Read what `to_dict` wrote."""
        return cls(facts.get("cpu") or "unknown processor", facts.get("cores") or 0, tuple(facts.get("gpus") or ()))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for the facts of a table."""
        return {"cpu": self.cpu, "cores": self.cores, "gpus": list(self.gpus)}

    def on(self, *gpus: str) -> "Machine":
        """Return this machine with these GPUs alone: those that a measurement used, often none."""
        return Machine(self.cpu, self.cores, gpus)

    def can_stand_for(self, measured: "Machine") -> bool:
        """Tell whether what was measured there holds here: the same processor, and the GPU that was used, if any."""
        same = (self.cpu, self.cores) == (measured.cpu, measured.cores)
        return same and set(measured.gpus) <= set(self.gpus)

    def __str__(self) -> str:
        return ", ".join([self.cpu, counted(self.cores, "core"), *self.gpus])


@cache
def _cpu() -> str:
    if _CPUINFO.is_file() and (name := _linux_cpu(_CPUINFO.read_text(encoding="utf-8", errors="replace"))):
        return name
    if _BOARD.is_file():  # single-board computers name the board and not the processor
        return _BOARD.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    if platform.system() == "Darwin":
        asked = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        return asked.stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


def _linux_cpu(cpuinfo: str) -> str:
    """Return the model with its family and number, for virtual machines often name no more than the maker."""
    lines = (line.partition(":") for line in cpuinfo.partition("\n\n")[0].splitlines())
    facts = {name.strip(): value.strip() for name, _, value in lines}
    if "model name" not in facts:
        return ""
    kind = [f"{word} {facts[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in facts]
    return f"{facts['model name']} ({', '.join(kind)})" if kind else facts["model name"]


@cache
def open_nvml() -> Any:
    """Return NVIDIA's module `pynvml` with its session open, or None where no driver answers."""
    import pynvml  # slow, and most machines never ask

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def gpu_names() -> tuple[str, ...]:
    """Return the names of all GPUs of this machine, in the driver's order; none where there is no driver."""
    nvml = open_nvml()
    handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount())) if nvml else ()
    return tuple(nvml.nvmlDeviceGetName(handle) for handle in handles)


def gpu_energy(uuid: str) -> Callable[[], float]:
    """Return what reads the energy in joules that a GPU has used since its driver was loaded.

    Args:
        uuid: `GPU-...`, for numbers of GPUs differ between libraries.

    Raises:
        OSError: If there is no such GPU, or it has no meter.
    """
    nvml = open_nvml()
    if nvml is None:
        raise OSError("NVIDIA's driver does not answer.")
    try:
        device = nvml.nvmlDeviceGetHandleByUUID(uuid)
        nvml.nvmlDeviceGetTotalEnergyConsumption(device)
    except nvml.NVMLError as error:
        raise OSError(f"NVIDIA's driver answers for {uuid}: {error}.") from error
    return lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(device) / 1e3
