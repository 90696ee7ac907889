"""The driver's library is stood in for by one that answers as its manual says."""

from typing import Any

import pytest

from snnet.utils.nvml import Nvml


class Driver:
    """Two GPUs; the energy of the second grows by 1.5 J with each reading, the first has no meter."""

    names = (b"NVIDIA A", b"NVIDIA B")
    uuids = (b"GPU-a", b"GPU-b")

    def __init__(self) -> None:
        self.millijoules = 1000

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self.names)
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, number: int, device: Any) -> int:  # noqa: N802
        device._obj.value = number + 1
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, device: Any) -> int:  # noqa: N802
        if uuid not in self.uuids:
            return 6
        device._obj.value = self.uuids.index(uuid) + 1
        return 0

    def nvmlDeviceGetName(self, device: Any, name: Any, size: int) -> int:  # noqa: N802
        name.value = self.names[device.value - 1][: size - 1]
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, device: Any, millijoules: Any) -> int:  # noqa: N802
        if device.value == 1:
            return 3
        self.millijoules += 1500
        millijoules._obj.value = self.millijoules
        return 0


def test_names_in_the_order_of_the_driver() -> None:
    assert Nvml(Driver()).gpu_names() == ("NVIDIA A", "NVIDIA B")


def test_energy_is_read_in_joules() -> None:
    read = Nvml(Driver()).energy("GPU-b")
    first = read()
    assert read() - first == 1.5


@pytest.mark.parametrize(("uuid", "code"), [("GPU-c", 6), ("GPU-a", 3)])
def test_what_the_driver_refuses_is_an_error(uuid: str, code: int) -> None:
    with pytest.raises(OSError, match=f"with error {code}"):
        Nvml(Driver()).energy(uuid)
