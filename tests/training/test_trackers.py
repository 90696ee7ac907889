import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from snnet.errors import RecipeError, TrainingError
from snnet.training import RunSettings, trackers
from snnet.training.engine import build_accelerator
from snnet.training.logging import RunLog
from snnet.training.trackers import check_trackers, tracked_name

FACTS = {"steps": 3, "optim.lr": 0.001, "sampler.name": "uniform", "clip_norm": None}
RECORDS = ({"step": 1, "loss": 2.0, "stitch": "0:0-4"}, {"step": 2, "top1/0:0-2,1:2-4": 50.0})


def log_run(directory: Path, *names: str, step: int = 0) -> None:
    accelerator = build_accelerator(RunSettings(steps=1, device="cpu", trackers=names), directory / "tracking")
    with RunLog(directory / "log.jsonl", step, accelerator, FACTS) as log:
        for record in RECORDS:
            if record["step"] > step:  # type: ignore[operator]
                log.write(record)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_tensorboard_has_scores_and_hyperparameters(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log_run(tmp_path, "tensorboard")
    events = EventAccumulator(str(tmp_path / "tracking" / "snnet"))
    events.Reload()
    tags = events.Tags()
    assert {"loss", "top1/0:0-2 1:2-4"} <= set(tags["scalars"])
    (text,) = (event for tag in tags["tensors"] if "hyperparameters" in tag for event in events.Tensors(tag))
    assert b"| optim.lr | 0.001 |" in text.tensor_proto.string_val[0]


def test_mlflow_keeps_one_run_in_the_directory(tmp_path: Path, offline: None) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    log_run(tmp_path, "mlflow", step=1)
    log_run(tmp_path, "mlflow", step=1)
    assert (tmp_path / "tracking" / "mlflow.db").is_file()
    (run,) = mlflow.MlflowClient().search_runs([mlflow.get_experiment_by_name("snnet").experiment_id])
    assert run.data.params == {name: str(value) for name, value in FACTS.items()}
    assert run.data.metrics["top1/0:0-2 1:2-4"] == 50.0


def test_wandb_writes_into_the_directory(tmp_path: Path, offline: None) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    script = (
        "import sys; from pathlib import Path; from tests.training.test_trackers import log_run;"
        "log_run(Path(sys.argv[1]), 'wandb')"
    )
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True, env={**os.environ, "PYTHONPATH": path})
    (run,) = (tmp_path / "tracking" / "wandb").glob("offline-run-*")
    content = b"".join(file.read_bytes() for file in run.rglob("*.wandb"))
    assert b"optim.lr" in content and b"top1/0:0-2 1:2-4" in content
    assert run.name.endswith((tmp_path / "tracking" / "wandb-run").read_text())


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "get_available_trackers", lambda: ["tensorboard"])
    for name in ("wandb", "mlflow"):
        with pytest.raises(RecipeError, match=rf"not installed: `pip install 'snnet\[{name}\]'`. Installed: tensorb"):
            check_trackers([name])
    with pytest.raises(RecipeError, match="'tensorbord' is unknown; installed: tensorboard"):
        check_trackers(["tensorbord"])


def test_the_extras_are_those_of_the_package() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(trackers._EXTRAS) <= set(project["optional-dependencies"])


def test_a_tracker_that_does_not_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ValueError("no server")

    accelerator = build_accelerator(RunSettings(steps=1, device="cpu"), tmp_path / "tracking")
    monkeypatch.setattr(accelerator, "init_trackers", fail)
    with pytest.raises(TrainingError, match="trackers tensorboard did not start: no server"):
        RunLog(tmp_path / "log.jsonl", 0, accelerator, FACTS)


def test_names_in_trackers_have_no_comma_and_the_log_keeps_it(tmp_path: Path) -> None:
    log_run(tmp_path, "tensorboard")
    assert "," not in tracked_name("top1/0:0-2,1:2-4")
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[1]) == RECORDS[1]
