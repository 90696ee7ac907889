"""Files are written whole or not at all: aside first, then renamed into place."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from snnet.errors import SNNetError


@contextmanager
def write_aside(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` once the block has ended well.

    A file that names others in its folder can so be opened and proven before. On any error the temporary file is
    removed and what stood at `path` before is untouched.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid4().hex}.partial")
    try:
        partial.touch(exist_ok=False)
        yield partial
        _flush_to_disk(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def write_beside(path: str | Path) -> Iterator[Path]:
    """Yield a path of the same name in a temporary folder beside `path`; for formats that write several files.

    Once the block has ended well, everything in the folder moves beside `path`, what bears its own name last. On any
    error the folder is removed and what stood there before is untouched.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        yield Path(folder) / target.name
        written = sorted(Path(folder).iterdir(), key=lambda file: file.name == target.name)
        for file in written:
            _flush_to_disk(file)
        for file in written:
            file.replace(target.parent / file.name)


def write_text(path: str | Path, text: str) -> Path:
    """Write `text` as UTF-8, whole or not at all, and return the path."""
    with write_aside(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write `value` as readable JSON, whole or not at all, and return the path."""
    return write_text(path, json.dumps(value, indent=2) + "\n")


def read_description(path: Path, *, what: str, format: str, version: int, error: type[SNNetError]) -> dict[str, Any]:
    """Read the JSON file that says what lies in its folder, such as a network or a bundle.

    Args:
        path: The file.
        what: What it describes, for messages.
        format: What it must name as its `format`.
        version: The newest `version` that is understood.
        error: Raised if the file is missing, damaged, of another format or newer.
    """
    if not path.is_file():
        raise error(f"There is no {what} at {path.parent}: {path.name} is missing.")
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise error(f"{path} is damaged, it is not JSON ({fault}); copy or write the {what} again.") from None
    if not isinstance(content, dict) or content.get("format") != format:
        raise error(f"{path} does not describe a {what}: 'format' is not {format!r}.")
    if content.get("version", 0) > version:
        raise error(f"{path} has version {content['version']}; this snnet reads up to {version}: update it.")
    return content


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
