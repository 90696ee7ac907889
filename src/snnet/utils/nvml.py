"""The names of NVIDIA GPUs and the energy they have used, asked of their driver."""

from collections.abc import Callable
from functools import cache
from typing import Any


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
