"""Meters read from a powercap tree of files, and from a driver that is stood in for."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import torch

from snnet.network import SNNet
from snnet.profiling import MeasureSettings, energy, find_meter, profile
from snnet.profiling.energy import RaplMeter, measure_energy

CPU = torch.device("cpu")
PROFILE = import_module("snnet.profiling.profiling")  # not the function of that name


def package(tree: Path, name: str, microjoules: int, reach: int = 1_000_000) -> Path:
    folder = tree / name
    folder.mkdir(parents=True)
    (folder / "max_energy_range_uj").write_text(f"{reach}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path) -> None:
    first, second = (package(tmp_path, f"intel-rapl:{n}", 500) for n in range(2))
    part = package(tmp_path, "intel-rapl:0:0", 500)
    meter, name = find_meter(CPU, tmp_path)
    assert isinstance(meter, RaplMeter) and name == "Intel RAPL"
    for folder, microjoules in ((first, 2500), (second, 1500), (part, 900_000)):
        (folder / "energy_uj").write_text(str(microjoules))
    assert meter() == pytest.approx(3000e-6)


def test_a_counter_that_begins_again_goes_on(tmp_path: Path) -> None:
    folder = package(tmp_path, "intel-rapl:0", 999_000)
    meter = RaplMeter([folder])
    (folder / "energy_uj").write_text("4000")
    assert meter() == pytest.approx(5000e-6)
    (folder / "energy_uj").write_text("6000")
    assert meter() == pytest.approx(7000e-6)


def test_without_a_meter_the_reason_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_meter(CPU, tmp_path)[1].endswith("has no intel-rapl")
    assert find_meter(CPU, tmp_path / "none")[0] is None
    assert find_meter(torch.device("mps"), tmp_path) == (None, "there is no meter for mps")
    monkeypatch.setattr(energy, "gpu_names", lambda: ())
    assert "driver does not answer" in find_meter(torch.device("cuda"), tmp_path)[1]
    (package(tmp_path, "intel-rapl:0", 1) / "energy_uj").unlink()
    meter, reason = find_meter(CPU, tmp_path)
    assert meter is None and "cannot be read" in reason and "energy_uj" in reason


class Counting:
    """Two joules for each run."""

    runs = 0

    def __call__(self) -> float:
        return 2.0 * self.runs

    def run(self) -> None:
        self.runs += 1


def test_energy_of_one_run_is_the_mean_over_a_while() -> None:
    meter = Counting()
    assert measure_energy(meter, meter.run, 10.0, lambda: None, seconds=0.25) == 2000.0
    assert meter.runs == 25
    measure_energy(meter, meter.run, 1000.0, lambda: None, seconds=0.25)
    assert meter.runs == 26


def test_a_profile_has_energy_just_where_there_is_a_meter(tiny_net: SNNet, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = MeasureSettings(warmup=0, repeats=1, batch_sizes=(1, 2))
    options = {"stitches": [0, 1], "settings": settings}
    monkeypatch.setattr(PROFILE, "find_meter", lambda _: (None, "there is no meter: none"))
    table = profile(tiny_net, **options)  # type: ignore[arg-type]
    assert "energy_mj" not in table.columns and table.meta["profile"]["energy"] == "there is no meter: none"
    meter = Counting()
    tiny_net.anchor(0).model.head.register_forward_hook(lambda *_: meter.run())
    monkeypatch.setattr(PROFILE, "find_meter", lambda _: (meter, "counting"))
    table = profile(tiny_net, **options)  # type: ignore[arg-type]
    assert table[0].energy_mj == table[0].values["energy_mj@2"] == 2000.0
    assert table[1].energy_mj == 0.0 and table.meta["profile"]["energy"] == "counting"
    options["settings"] = replace(settings, energy=False)
    assert "energy_mj" not in profile(tiny_net, threads=2, **options).columns  # type: ignore[arg-type]
