"""One walk through folders of data: each real folder once, hidden ones never, and nothing but regular files."""

import os
from collections import Counter, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from snnet.errors import DataError

Identity: TypeAlias = tuple[int, int]
"""Device and inode, which a folder keeps whatever links lead to it."""

USUAL_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
# What Pillow only recognizes, or has other programs draw.
_NOT_READ = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}


@cache
def picture_endings() -> tuple[str, ...]:
    """Return the endings of files that Pillow reads, in lower case, the usual ones first."""
    known = Image.registered_extensions()
    read = {ending for ending, kind in known.items() if kind in Image.OPEN and kind not in _NOT_READ}
    return (*USUAL_ENDINGS, *sorted(read - {*USUAL_ENDINGS}))


@dataclass(frozen=True)
class Found:
    """What lies in some folders.

    Attributes:
        files: Of each folder the wanted files at any depth, sorted.
        dangling: Those among them that are links to nothing.
        left_out: How many other files there are, by their endings.
        folders: All folders that were entered, and by which path.
    """

    files: tuple[list[Path], ...]
    dangling: frozenset[Path]
    left_out: Counter[str]
    folders: dict[Identity, Path]


def walk(folders: Sequence[Path], endings: Collection[str]) -> Found:
    """Find the files with some endings in folders, at any depth.

    Links are followed, but a folder that was met already, or that holds one of these, is not entered again; what a
    link and a folder both lead to belongs to the folder. Hidden files and folders, and `__MACOSX`, are passed over.

    Args:
        folders: Where to look.
        endings: In lower case, with their dots.

    Raises:
        DataError: If a folder cannot be read, or two of them are one.
    """
    holding = {parent for folder in folders for parent in _parents(folder)}
    seen = {identity(parent) for parent in holding}
    entered: dict[Identity, Path] = {}
    files: tuple[list[Path], ...] = tuple([] for _ in folders)
    dangling: set[Path] = set()
    left_out: Counter[str] = Counter()
    for folder in folders:
        if (twin := entered.setdefault(identity(folder), folder)) is not folder:
            raise DataError(f"{str(twin)!r} and {str(folder)!r} are one folder; remove the link.")
    pending = [(number, folder) for number, folder in enumerate(folders)]
    linked: deque[tuple[int, Path]] = deque()
    while pending or linked:
        number, folder = pending.pop() if pending else linked.popleft()
        if folder is not folders[number]:
            this = identity(folder)
            if this in seen or this in entered:
                continue
            entered[this] = folder
        for entry in entries(folder):
            path = Path(entry.path)
            kind = _kind(entry)
            if kind == "folder":
                (linked if entry.is_symlink() else pending).append((number, path))
            elif kind == "other" or path.suffix.lower() not in endings:
                left_out[path.suffix.lower() or "without ending" if kind != "other" else "not regular"] += 1
            else:
                files[number].append(path)
                dangling.update([path] if kind == "dangling" else ())
    return Found(tuple(map(sorted, files)), frozenset(dangling), left_out, entered)


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted: neither hidden ones, nor links to what holds it."""
    holding = {identity(parent) for parent in (folder, *_parents(folder))}
    found = (Path(entry.path) for entry in entries(folder) if _kind(entry) == "folder")
    return sorted(path for path in found if not path.is_symlink() or identity(path) not in holding)


def entries(folder: Path) -> list["os.DirEntry[str]"]:
    """Return what lies in a folder and is not hidden, sorted by name.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            # macOS leaves __MACOSX in archives, tools leave .cache and the like.
            shown = [entry for entry in found if not entry.name.startswith(".") and entry.name != "__MACOSX"]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}; check the path and its permissions.") from error
    return sorted(shown, key=lambda entry: entry.name)


def identity(folder: Path) -> Identity:
    """Return what a folder is, whatever leads to it.

    Raises:
        DataError: If it is gone or cannot be reached.
    """
    try:
        facts = folder.stat()
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}; check the path and its permissions.") from error
    return facts.st_dev, facts.st_ino


def pictures_in(folder: Path) -> list[Path]:
    """Return the files at any depth in a folder that are images by their names, sorted; links are followed."""
    return walk([folder], picture_endings()).files[0]


def _parents(folder: Path) -> set[Path]:
    return {*folder.absolute().parents, *folder.resolve().parents}


def _kind(entry: "os.DirEntry[str]") -> str:
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
        return "dangling" if entry.is_symlink() and not Path(entry.path).exists() else "other"
    except OSError:  # a link to itself
        return "dangling"
