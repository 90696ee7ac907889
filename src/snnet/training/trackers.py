"""What each of accelerate's trackers needs to work without a network, in the run's own directory."""

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

from snnet.errors import RecipeError
from snnet.utils import write_text

PROJECT = "snnet"
_EXTRAS = ("mlflow", "wandb")


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that accelerate does not know, or that are not installed.

    Raises:
        RecipeError: If there are any; the message says what to install.
    """
    installed = sorted(str(tracker) for tracker in get_available_trackers())
    for name in names:
        if name not in list(map(str, LOGGER_TYPE_TO_CLASS)):
            raise RecipeError(f"Tracker {name!r} is unknown; installed: {', '.join(installed) or 'none'}.")
        if name not in installed:
            package = f"snnet[{name}]" if name in _EXTRAS else name
            raise RecipeError(
                f"Tracker {name!r} is not installed: `pip install '{package}'`. Installed: {', '.join(installed)}."
            )


def tracker_options(names: Sequence[str], directory: Path, step: int) -> dict[str, dict[str, Any]]:
    """Return what `Accelerator.init_trackers` passes on, and point MLflow at the directory.

    A resumed run goes on in the same run of MLflow and Weights & Biases, whose id is kept in the directory. A
    server that the environment names (`MLFLOW_TRACKING_URI`, W&B's own variables) is used in place of files.

    Args:
        names: The trackers of the run.
        directory: Where their files go.
        step: Steps done before.
    """
    # TensorBoard hides what it has of later steps.
    options: dict[str, dict[str, Any]] = {"tensorboard": {"purge_step": step + 1}}
    if "wandb" in names:
        identity = _kept(directory / "wandb-run", lambda: uuid.uuid4().hex)
        options["wandb"] = {"dir": str(directory), "id": identity, "resume": "allow"}
    if "mlflow" in names:
        options["mlflow"] = _mlflow_options(directory)
    return options


def tracked_name(name: str) -> str:
    """Return a name that all trackers accept: MLflow allows no comma, which joins the segments of a stitch."""
    return name.replace(",", " ")


def as_markdown(facts: Mapping[str, Any]) -> str:
    """Return hyperparameters as a table, for TensorBoard's text page."""
    rows = [f"| {name} | {value} |" for name, value in facts.items()]
    return "\n".join(["| setting | value |", "| --- | --- |", *rows])


def _mlflow_options(directory: Path) -> dict[str, Any]:
    # MLflow is no dependency, so mypy does not know it.
    import mlflow  # type: ignore[import-not-found, unused-ignore]

    if "MLFLOW_TRACKING_URI" not in os.environ:
        mlflow.set_tracking_uri(f"sqlite:///{directory.absolute() / 'mlflow.db'}")
    experiment = mlflow.get_experiment_by_name(PROJECT)
    artifacts = str((directory / "mlflow-artifacts").absolute())
    number = experiment.experiment_id if experiment else mlflow.create_experiment(PROJECT, artifacts)
    return {"run_id": _kept(directory / "mlflow-run", lambda: mlflow.MlflowClient().create_run(number).info.run_id)}


def _kept(path: Path, fresh: Callable[[], str]) -> str:
    if not path.is_file():
        write_text(path, fresh())
    return path.read_text(encoding="utf-8").strip()
