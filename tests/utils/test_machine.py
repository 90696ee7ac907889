import json
import subprocess
import sys

import pynvml
import pytest

from snnet.utils import Machine, gpu_names, machine

UUIDS = ["GPU-a", "GPU-b"]
INTEL = """processor\t: 0
model name\t: Intel(R) Xeon(R) CPU @ 2.20GHz
cpu family\t: 6
model\t\t: 79

processor\t: 1
model name\t: another
"""


def test_this_machine_stands_for_itself_through_a_file() -> None:
    here = Machine.here()
    assert here.cpu and here.cores >= 1
    assert here.can_stand_for(Machine.of(json.loads(json.dumps(here.to_dict()))))


def test_a_measurement_needs_the_processor_and_the_gpu_that_it_used() -> None:
    here = Machine("A", 4, ("G",))
    assert here.can_stand_for(here.on()) and here.can_stand_for(here.on("G"))
    assert not here.on().can_stand_for(here)
    assert not here.can_stand_for(Machine("A", 2)) and not here.can_stand_for(Machine("B", 4))
    assert str(here) == "A, 4 cores, G" and str(Machine("A", 1)) == "A, 1 core"


def test_virtual_processors_are_told_apart_by_family_and_model() -> None:
    assert machine._linux_cpu(INTEL) == "Intel(R) Xeon(R) CPU @ 2.20GHz (family 6, model 79)"
    assert machine._linux_cpu("processor: 0\nFeatures: neon\n") == ""


def test_gpus_are_those_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpu_names", lambda: ("NVIDIA H200",))
    assert Machine.here().gpus == ("NVIDIA H200",)
    monkeypatch.undo()
    assert Machine.here().gpus == gpu_names()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the driver by one that answers as its manual says.

    It has two GPUs; the energy of the second grows by 1.5 J with each reading, the first has no meter.
    """
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
    monkeypatch.setattr(machine, "open_nvml", lambda: pynvml)


@pytest.mark.usefixtures("driver")
def test_names_in_the_order_of_the_driver() -> None:
    assert machine.gpu_names() == ("NVIDIA A", "NVIDIA B")


@pytest.mark.usefixtures("driver")
def test_energy_is_read_in_joules() -> None:
    read = machine.gpu_energy("GPU-b")
    first = read()
    assert read() - first == 1.5


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(("uuid", "reason"), [("GPU-c", "Not Found"), ("GPU-a", "Not Supported")])
def test_what_the_driver_refuses_is_an_error(uuid: str, reason: str) -> None:
    with pytest.raises(OSError, match=f"driver answers for {uuid}: {reason}"):
        machine.gpu_energy(uuid)


def test_without_a_driver_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", absent)
    machine.open_nvml.cache_clear()
    assert machine.gpu_names() == ()
    with pytest.raises(OSError, match="does not answer"):
        machine.gpu_energy("GPU-a")
    machine.open_nvml.cache_clear()


def test_nothing_is_imported_before_it_is_asked() -> None:
    code = "import sys, snnet.utils.machine; sys.exit('pynvml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
