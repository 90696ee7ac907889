"""The run's log: one JSON object a line, without the steps that a resumed run does again; and trackers."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from accelerate import Accelerator

from snnet.errors import TrainingError
from snnet.files import write_text


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
        numbers = {name: value for name, value in record.items() if isinstance(value, int | float)}
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
        # TensorBoard hides what it has of later steps.
        self._accelerator.init_trackers("snnet", init_kwargs={"tensorboard": {"purge_step": step + 1}})
        for tracker in self._accelerator.trackers:
            # TensorBoard would begin one more run for its hyperparameters each time.
            if tracker.name != "tensorboard":
                tracker.store_init_configuration(dict(facts))

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
