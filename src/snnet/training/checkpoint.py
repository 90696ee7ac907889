"""Training state on disk: written whole or not at all, checked when read, the newest intact one taken."""

import hashlib
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from snnet.errors import CheckpointError
from snnet.training.settings import REMOVED_SETTINGS, removed_fault
from snnet.utils import Record, broadcast, checked_record, from_first, write_aside

CHECKPOINTS = "checkpoints"
"""Folder of a run that holds its checkpoints."""
FORMAT, VERSION = "snnet-training", 1
Settings = Mapping[str, str | int | float | bool | None]
"""Flat facts of a run that must be equal to resume it."""

logger = logging.getLogger(__name__)
_NAME = re.compile(r"step-\d{8,}\.pt")


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: steps done, and the state of everything that steps change."""

    path: Path
    step: int
    state: Mapping[str, Any]


class _Content(Record):
    format: str
    version: int
    step: int = Field(ge=0)
    settings: dict[str, str | int | float | bool | None]
    state: dict[str, Any]
    digest: str


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        directory: Where they lie, as `step-00000100.pt`.
        settings: Facts of the run; a checkpoint with others is refused.
        keep: How many of the newest stay.
        on_message: Told what goes wrong with a file and what is done instead; also logged as a warning.
    """

    def __init__(
        self, directory: Path, settings: Settings, *, keep: int = 2, on_message: Callable[[str], None] | None = None
    ) -> None:
        self.directory = directory
        self.settings = dict(settings)
        self.keep = max(1, keep)
        self._on_message = on_message

    def paths(self) -> list[Path]:
        """Return all checkpoint files, the oldest first."""
        found = [path for path in self.directory.glob("step-*.pt") if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.stem.removeprefix("step-")))

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write the state after `step` steps, then remove the oldest files.

        Raises:
            CheckpointError: If it cannot be written, such as on a full disk; earlier files are intact then.
        """
        path = self.directory / f"step-{step:08d}.pt"
        content = {"format": FORMAT, "version": VERSION, "step": step, "settings": self.settings, "state": dict(state)}
        try:
            with write_aside(path) as partial, partial.open("wb") as file:
                torch.save({**content, "digest": content_digest(content)}, file)
        except (OSError, RuntimeError) as error:
            # torch hides the file's OSError behind a RuntimeError of its archive writer.
            raise CheckpointError(self._failure(path, error)) from error
        for old in self.paths()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def load_newest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint, None if there is no file at all.

        Raises:
            CheckpointError: If no file is intact, or the newest intact one was written with other settings.
        """
        faults = []
        for path in reversed(self.paths()):
            try:
                content = read_checkpoint(path)
            except CheckpointError as error:
                faults.append(str(error))
                self._say(f"{error} Falling back to the checkpoint before.")
                continue
            self._refuse_other_settings(path, content["settings"])
            return Checkpoint(path, content["step"], content["state"])
        if faults:
            raise CheckpointError(" ".join(faults) + " No intact checkpoint is left; begin again in another directory.")
        return None

    def load_for_all(self) -> Checkpoint | None:
        """Return what the first process finds newest, which alone reads: other machines may have no such file."""
        read: list[Checkpoint] = []

        def newest() -> tuple[Path, int] | None:
            read.extend(filter(None, [self.load_newest()]))
            return (read[0].path, read[0].step) if read else None

        found = from_first(newest)
        return None if found is None else Checkpoint(*found, broadcast(dict(read[0].state) if read else {}))

    def claim(self, *, resume: bool) -> None:
        """Remove what a kill in the middle of a save left behind.

        Raises:
            CheckpointError: If there are checkpoints, and they are not to be resumed.
        """
        if self.paths() and not resume:
            raise CheckpointError(
                f"{self.directory.parent} holds the checkpoints of a run ({self.paths()[-1].name}). Resume it, or "
                "choose another directory."
            )
        for path in self.directory.glob(".step-*.partial"):
            path.unlink(missing_ok=True)

    def _refuse_other_settings(self, path: Path, before: Settings) -> None:
        gone = {name.removeprefix("run."): name for name in REMOVED_SETTINGS}
        kept = {n: v for n, v in before.items() if n not in gone or removed_fault(gone[n], v)}
        names = sorted(self.settings.keys() | kept.keys())
        absent = "absent"
        changed = [
            f"{name} was {kept.get(name, absent)!r} and is {self.settings.get(name, absent)!r}"
            for name in names
            if kept.get(name, absent) != self.settings.get(name, absent)
        ]
        if changed:
            raise CheckpointError(
                f"{path} was written with other settings: {'; '.join(changed)}. Resume with the same settings, "
                "or begin a new run in another directory."
            )

    def _failure(self, path: Path, error: Exception) -> str:
        reason: BaseException = error
        while not isinstance(reason, OSError) and reason.__context__ is not None:
            reason = reason.__context__
        why = (reason.strerror if isinstance(reason, OSError) else None) or str(error).splitlines()[0]
        place = next(parent for parent in path.absolute().parents if parent.is_dir())
        free = shutil.disk_usage(place).free / 2**20
        last = self.paths()[-1:]
        kept = f"{last[0]} is intact" if last else "there is no earlier one"
        return (
            f"The checkpoint {path} could not be written: {why} ({free:.0f} MiB free). {kept[0].upper()}{kept[1:]}. "
            "Make room, or choose another directory."
        )

    def _say(self, message: str) -> None:
        logger.warning(message)
        if self._on_message is not None:
            self._on_message(message)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the whole content of a checkpoint, on the CPU, after comparing it with its checksum.

    Raises:
        CheckpointError: If the file is truncated, altered, or something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path} is truncated or corrupt ({reason}).") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of a training run.")
    if isinstance(found := content.get("version"), int) and found > VERSION:
        raise CheckpointError(f"{path} has version {found}; this snnet reads up to {VERSION}: update it.")
    checked_record(_Content, content, str(path), CheckpointError, "delete it, and resume from the one before.")
    if content.pop("digest") != content_digest(content):
        raise CheckpointError(f"{path} is corrupt: its content does not match its checksum.")
    return content


def content_digest(value: Any) -> str:
    """Return a checksum of nested dicts, sequences, tensors and plain values, to the last bit of every tensor."""
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: "hashlib.blake2b", value: Any) -> None:
    if isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous()
        digest.update(f"tensor {flat.dtype} {tuple(flat.shape)}".encode())
        digest.update(flat.reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        digest.update(f"mapping {len(value)}".encode())
        for key, item in value.items():
            digest.update(repr(key).encode())
            _feed(digest, item)
    elif isinstance(value, list | tuple):
        digest.update(f"sequence {len(value)}".encode())
        for item in value:
            _feed(digest, item)
    else:
        digest.update(repr(value).encode())
