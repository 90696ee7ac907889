import json

import pytest

from snnet.utils import Machine, machine
from snnet.utils.nvml import gpu_names

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
