"""The driver is stood in for by one that answers as its manual says."""

import subprocess
import sys

import pynvml
import pytest

from snnet.utils import nvml

UUIDS = ["GPU-a", "GPU-b"]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs; the energy of the second grows by 1.5 J with each reading, the first has no meter."""
    readings = iter(range(1000, 100_000, 1500))

    def handle(uuid: str) -> int:
        if uuid not in UUIDS:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return UUIDS.index(uuid)

    def energy(device: int) -> int:
        if device == 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return next(readings)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda number: number)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda device: f"NVIDIA {'AB'[device]}")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", handle)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", energy)
    monkeypatch.setattr(nvml, "open_nvml", lambda: pynvml)


@pytest.mark.usefixtures("driver")
def test_names_in_the_order_of_the_driver() -> None:
    assert nvml.gpu_names() == ("NVIDIA A", "NVIDIA B")


@pytest.mark.usefixtures("driver")
def test_energy_is_read_in_joules() -> None:
    read = nvml.gpu_energy("GPU-b")
    first = read()
    assert read() - first == 1.5


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(("uuid", "reason"), [("GPU-c", "Not Found"), ("GPU-a", "Not Supported")])
def test_what_the_driver_refuses_is_an_error(uuid: str, reason: str) -> None:
    with pytest.raises(OSError, match=f"driver answers for {uuid}: {reason}"):
        nvml.gpu_energy(uuid)


def test_without_a_driver_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", absent)
    nvml.open_nvml.cache_clear()
    assert nvml.gpu_names() == ()
    with pytest.raises(OSError, match="does not answer"):
        nvml.gpu_energy("GPU-a")
    nvml.open_nvml.cache_clear()


def test_nothing_is_imported_before_it_is_asked() -> None:
    code = "import sys, snnet.utils.machine; sys.exit('pynvml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
