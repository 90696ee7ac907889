"""The check of a GPU runs in miniature without one, and one part that fails leaves the others alone."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


def run_parts(*parts: str, output: Path) -> dict[str, list[dict[str, object]]]:
    command = [sys.executable, str(SCRIPT), "--miniature", "--parts", *parts, "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, list[dict[str, object]]] = json.loads(output.read_text())["parts"]
    assert list(found) == list(parts)
    assert all("failed" not in row for rows in found.values() for row in rows)
    return found


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script as a module."""
    monkeypatch.setattr(sys, "path", [str(SCRIPT.parent), *sys.path])
    spec = importlib.util.spec_from_file_location("gpu", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("gpu_parts", None)


@pytest.mark.slow
def test_parts_run_in_miniature_and_say_what_needs_a_gpu(tmp_path: Path) -> None:
    found = run_parts("least_squares", "energy", output=tmp_path / "gpu.json")
    assert [row["what"] for row in found["least_squares"]] == ["8 images", "largest relative residual"]
    assert found["energy"] == [{"what": "NVML", "note": "needs a GPU"}]


@pytest.mark.slow
def test_all_parts_run_in_miniature(tmp_path: Path) -> None:
    found = run_parts(
        *("throughput", "compiled", "training", "least_squares", "resume", "energy", "serving"),
        output=tmp_path / "gpu.json",
    )
    assert [row.get("note") for row in found["resume"]] == ["bit for bit", "needs a GPU"]
    # Two anchors, and stitches of the same network: the models alone are compared with the anchors.
    assert ["plain" in row for row in found["throughput"]] == [True, True, False, False, False, False]


def test_a_part_that_fails_keeps_what_it_found(gpu: ModuleType, tmp_path: Path) -> None:
    def measure(_: object) -> Iterator[dict[str, object]]:
        yield {"what": "the first", "ours": 2.0, "plain": 4.0, "unit": "images/s"}
        raise RuntimeError("the GPU is gone")

    gpu.PARTS["broken"] = (measure, 5.0)
    rows = tmp_path / "rows.jsonl"
    gpu.work("broken", gpu.scale(miniature=True), rows)
    first, second = map(json.loads, rows.read_text().splitlines())
    assert gpu.line_of(first).endswith("2 images/s (plain 4, ratio 0.50)")
    assert second == {"what": "broken", "failed": "RuntimeError: the GPU is gone"}
    assert "FAILED: RuntimeError" in gpu.line_of(second)


def test_a_part_that_hangs_is_ended(gpu: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    measure, _ = gpu.PARTS["serving"]
    gpu.PARTS["serving"] = (measure, 0.02)
    assert gpu.run_apart("serving", miniature=True) == [{"what": "serving", "failed": "not done within 0.1 s"}]
    assert "FAILED: not done within 0.1 s" in capsys.readouterr().out


def test_all_parts_together_take_less_than_six_minutes(gpu: ModuleType) -> None:
    assert sum(seconds for _, seconds in gpu.PARTS.values()) < 360
