"""The run's log: one JSON object a line, without the steps that a resumed run does again; and trackers."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker

from snnet.errors import TrainingError
from snnet.training.trackers import PROJECT, as_markdown, tracked_name, tracker_options
from snnet.utils import write_text


class RunLog:
    """Appends records to a file, and gives them to accelerate's trackers.

    Args:
        path: The file; made if it does not exist. None writes no file.
        step: Steps done before; lines of later steps are dropped.
        accelerator: Has the trackers.
        facts: Given to trackers that keep a run's configuration.

    Raises:
        TrainingError: If the file cannot be written; the message says why. Every method may raise it.
    """

    def __init__(self, path: Path | None, step: int, accelerator: Accelerator, facts: Mapping[str, Any]) -> None:
        self.path = path
        self._accelerator = accelerator
        self._file: TextIO | None = None
        try:
            if path is not None:
                kept = [json.dumps(record) + "\n" for record in read_log(path) if record["step"] <= step]
                self._file = write_text(path, "".join(kept)).open("a", encoding="utf-8")
            self._start_trackers(step, facts)
        except OSError as error:
            raise self._failure(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        # Not end_training, which would part this process from the others.
        for tracker in self._accelerator.trackers:
            tracker.finish()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one line, which a kill of this process no longer takes away."""
        numbers = {tracked_name(name): value for name, value in record.items() if isinstance(value, int | float)}
        try:
            if self._file is not None:
                self._file.write(json.dumps(dict(record)) + "\n")
                self._file.flush()
            self._accelerator.log(numbers, step=record["step"])
        except OSError as error:
            raise self._failure(error) from error

    def sync(self) -> None:
        """Bring all lines to the disk, so that a checkpoint never is ahead of its log."""
        try:
            if self._file is not None:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failure(error) from error

    def _start_trackers(self, step: int, facts: Mapping[str, Any]) -> None:
        directory = self._accelerator.logging_dir
        if directory is None:
            return
        names = [str(tracker) for tracker in self._accelerator.log_with]
        try:
            options = tracker_options(names, Path(directory), step) if self._accelerator.is_main_process else {}
            self._accelerator.init_trackers(PROJECT, init_kwargs=options)
            for tracker in self._accelerator.trackers:
                self._store_facts(tracker, step, facts)
        except OSError:
            raise
        except Exception as error:  # each tracker raises kinds of its own
            hint = "Without a network, set WANDB_MODE=offline. " if "wandb" in names else ""
            raise TrainingError(
                f"The trackers {', '.join(names)} did not start: {error} {hint}Leave one out with run.trackers."
            ) from error

    def _store_facts(self, tracker: GeneralTracker, step: int, facts: Mapping[str, Any]) -> None:
        if tracker.name != "tensorboard":
            tracker.store_init_configuration(dict(facts))
        # TensorBoard would begin one more run for its hyperparameters each time, so they are written as text.
        elif step == 0 and self._accelerator.is_main_process:
            tracker.tracker.add_text("hyperparameters", as_markdown(facts), 0)

    def _failure(self, error: OSError) -> TrainingError:
        return TrainingError(f"The log {self.path} cannot be written ({error.strerror}); the checkpoints are intact.")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return all whole records of a log; a line that a kill cut short is left out."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records
