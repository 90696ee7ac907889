"""Files are written whole or not at all: aside first, then renamed into place."""

import json
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from hashlib import file_digest as digest_of
from pathlib import Path
from typing import Any
from uuid import uuid4

_ASIDE = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.partial")
_ASIDE_BEFORE = re.compile(r"\..+\.[0-9a-f]{32}\.partial|\.saving-\w{8}|\..+\.partial-\w{8}")
"""What version 0.1.0 called them."""
_NAMESPACE = Path("/proc/self/ns/pid")
_HOME = f"{platform.node()} {_NAMESPACE.readlink() if _NAMESPACE.is_symlink() else ''}"
_MACHINE = blake2b(_HOME.encode(), digest_size=4).hexdigest()
"""Where numbers of processes mean the same as here: containers may share a name and not their processes."""
_OLD = 24 * 3600
"""Seconds after which what is written aside counts as left behind, whoever writes it."""
_FRESH, _GONE = ".replacement", ".gone"


@contextmanager
def write_aside(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` once the block has ended well.

    A file that names others in its folder can so be opened and proven before. On any error the temporary file is
    removed and what stood at `path` before is untouched. What killed processes left in the folder is removed.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_left_behind(target.parent)
    partial = _aside(target)
    try:
        partial.touch(exist_ok=False)
        yield partial
        _flush_to_disk(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def write_beside(path: str | Path, place: Callable[[Path, Path], None]) -> Iterator[Path]:
    """Yield a path of the same name in a temporary folder beside `path`; for formats that write several files.

    Once the block has ended well, `place` takes the written path and `path` and moves there all that is in the folder.
    On any error before that the folder is removed and what stood there before is untouched.
    """
    target = Path(path)
    with _folder_aside(target) as folder:
        yield folder / target.name
        for file in folder.iterdir():
            _flush_to_disk(file)
        place(folder / target.name, target)


@contextmanager
def write_folder(target: Path, *, last: str, gone: Iterable[str] = ()) -> Iterator[Path]:
    """Yield an empty folder, whose files take the place of those of a folder once the block has ended well.

    They come all or not at all: they move one by one, and `finish_folder` goes on where a kill came between.

    Args:
        target: The folder; made if it does not exist.
        last: The file that names the others, which moves last.
        gone: Files of the folder that are removed where there are none of these names to take their place.
    """
    is_new = not target.exists()
    finish_folder(target, last=last)
    try:
        with _folder_aside(target / _FRESH) as fresh:
            yield fresh
            written = {file.relative_to(fresh).as_posix() for file in _files(fresh)}
            write_json(fresh / _GONE, sorted(set(gone) - written))
            for file in _files(fresh):
                _flush_to_disk(file)
            fresh.rename(target / _FRESH)
        finish_folder(target, last=last)
    finally:
        if is_new:
            with suppress(OSError):
                target.rmdir()  # which it can be only if nothing was written


def finish_folder(target: Path, *, last: str) -> None:
    """Let files that `write_folder` had written take their places; whoever reads the folder calls it first."""
    fresh = target / _FRESH
    if not fresh.is_dir():
        return
    with suppress(FileNotFoundError):  # here and below, another process does the same
        for name in json.loads((fresh / _GONE).read_text(encoding="utf-8")):
            (target / name).unlink(missing_ok=True)
    for file in sorted(_files(fresh), key=lambda file: (file.name == last, file)):
        if file.name != _GONE:
            place = target / file.relative_to(fresh)
            place.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                file.replace(place)
    shutil.rmtree(fresh, ignore_errors=True)


def remove_left_behind(folder: Path) -> None:
    """Remove what processes that were killed wrote aside in a folder, as far as nobody can be writing it."""
    for path in folder.glob(".*"):
        match = _ASIDE.fullmatch(path.name)
        is_dead = match is not None and match[1] == _MACHINE and not _is_alive(int(match[2]))
        if is_dead or ((match or _ASIDE_BEFORE.fullmatch(path.name)) and _is_old(path)):
            shutil.rmtree(path, ignore_errors=True)
            with suppress(OSError):
                path.unlink(missing_ok=True)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return digest_of(file, "sha256").hexdigest()


def output_fault(path: Path, *, is_file: bool = False) -> str | None:
    """Return why no directory, or no file, can be written there; None if one can. Folders above it need not exist."""
    if is_file and path.exists() and not path.is_file():
        return f"{path} cannot be written, for it is a {'directory' if path.is_dir() else 'device'}; name a file"
    place = path.parent if is_file else path
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        wanted = f"another place than in {place}" if is_file else "a directory"
        return f"{path} cannot be made, for {place} is {'a file' if place.exists() else 'a broken link'}; name {wanted}"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{path} cannot be written, for {place} is not yours to write in; name another"
    return None


def check_output(path: Path, error: type[Exception], *, is_file: bool = False) -> Path:
    """Return a path, and raise such an error if no directory, or no file, can be written there."""
    if fault := output_fault(path, is_file=is_file):
        raise error(f"{fault}.")
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Write `text` as UTF-8, whole or not at all, and return the path."""
    with write_aside(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write `value` as readable JSON, whole or not at all, and return the path."""
    return write_text(path, json.dumps(value, indent=2) + "\n")


@contextmanager
def _folder_aside(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_left_behind(target.parent)
    folder = _aside(target)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name.lstrip('.')}.{_MACHINE}-{os.getpid()}-{uuid4().hex[:8]}.partial")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _OLD
    except OSError:
        return False


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
