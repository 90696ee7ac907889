"""The names of NVIDIA GPUs and the energy they have used, asked of the driver itself: no package is needed."""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

_LIBRARIES = ("libnvidia-ml.so.1", "nvml.dll")
_NAME_SIZE = 96


class Nvml:
    """A session with the driver's management library.

    Args:
        library: The library as `ctypes` loads it.

    Raises:
        OSError: If the driver does not answer.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._call("nvmlInit_v2")

    def gpu_names(self) -> tuple[str, ...]:
        """Return the names of all GPUs of this machine, in the driver's order."""
        count = ctypes.c_uint()
        self._call("nvmlDeviceGetCount_v2", ctypes.byref(count))
        return tuple(self._name(number) for number in range(count.value))

    def energy(self, uuid: str) -> Callable[[], float]:
        """Return what reads the energy in joules that a GPU has used since its driver was loaded.

        Args:
            uuid: `GPU-...`, for numbers of GPUs differ between libraries.

        Raises:
            OSError: If there is no such GPU, or it has no meter.
        """
        device, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        self._call("nvmlDeviceGetHandleByUUID", uuid.encode(), ctypes.byref(device))

        def read() -> float:
            self._call("nvmlDeviceGetTotalEnergyConsumption", device, ctypes.byref(millijoules))
            return millijoules.value / 1e3

        read()
        return read

    def _name(self, number: int) -> str:
        device, name = ctypes.c_void_p(), ctypes.create_string_buffer(_NAME_SIZE)
        self._call("nvmlDeviceGetHandleByIndex_v2", number, ctypes.byref(device))
        self._call("nvmlDeviceGetName", device, name, _NAME_SIZE)
        return name.value.decode()

    def _call(self, function: str, *arguments: Any) -> None:
        if code := getattr(self._library, function)(*arguments):
            raise OSError(f"NVIDIA's driver answers {function} with error {code}.")


@cache
def open_nvml() -> Nvml | None:
    """Return a session with the driver, or None where there is none."""
    for name in _LIBRARIES:
        try:
            return Nvml(ctypes.CDLL(name))
        except OSError:
            continue
    return None
