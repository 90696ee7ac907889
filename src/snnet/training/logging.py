"""The run's log: one JSON object a line, without the steps that a resumed run does again; trackers; loss and speed."""

import json
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any, Self, TextIO

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker

from snnet.errors import TrainingError
from snnet.training.engine import Update
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
        with self._writing():
            if path is not None:
                kept = [json.dumps(record) + "\n" for record in read_log(path) if record["step"] <= step]
                self._file = write_text(path, "".join(kept)).open("a", encoding="utf-8")
            self._start_trackers(step, facts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        # Not end_training, which would part this process from the others.
        for tracker in self._accelerator.trackers:
            tracker.finish()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one line, which a kill of this process no longer takes away."""
        numbers = {tracked_name(name): value for name, value in record.items() if isinstance(value, int | float)}
        with self._writing():
            if self._file is not None:
                self._file.write(json.dumps(dict(record)) + "\n")
                self._file.flush()
            self._accelerator.log(numbers, step=record["step"])

    def sync(self) -> None:
        """Bring all lines to the disk, so that a checkpoint never is ahead of its log."""
        with self._writing():
            if self._file is not None:
                os.fsync(self._file.fileno())

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

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TrainingError(
                f"The log {self.path} cannot be written ({error.strerror}); the checkpoints are intact."
            ) from error


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


class Meter:
    """What a run tells of its last steps.

    Attributes:
        unlogged: Losses since the last line of the log.
    """

    def __init__(self) -> None:
        self.unlogged: list[float] = []
        self._recent: deque[tuple[float, int, float]] = deque(maxlen=50)

    def note(self, update: Update, seconds: float) -> None:
        """Take in a step."""
        self.unlogged.append(update.loss)
        self._recent.append((update.loss, update.images, seconds))

    def take_logged(self) -> float:
        """Return the mean loss since the last line of the log, which this one is for."""
        mean = sum(self.unlogged) / len(self.unlogged)
        self.unlogged.clear()
        return mean

    @property
    def loss(self) -> float:
        """Mean over the last 50 steps; NaN before the first."""
        return sum(loss for loss, *_ in self._recent) / len(self._recent) if self._recent else math.nan

    @property
    def images_per_second(self) -> float:
        """Over the last 50 steps."""
        return sum(images for _, images, _ in self._recent) / max(sum(s for *_, s in self._recent), 1e-9)

    @property
    def seconds(self) -> float:
        """Of a step, the mean of the last 50."""
        return fmean(seconds for *_, seconds in self._recent)
