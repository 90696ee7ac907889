"""Shards of a WebDataset, tar files in which the members of a sample share a key: where they lie, what they hold."""

import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from snnet.data.splits import SPLIT_NAMES, find_split
from snnet.data.walk import walk
from snnet.errors import DataError
from snnet.utils import counted, require

INFO_FILES = ("_info.json", "info.json", "_info.yaml", "info.yaml")


@dataclass(frozen=True)
class Member:
    """Where the content of one file lies in a shard: first byte and number of bytes."""

    offset: int
    size: int


@dataclass(frozen=True)
class ShardSample:
    """The files of one sample, by extension in lower case."""

    key: str
    files: dict[str, Member]


class Shard:
    """One tar file: opened when something is read from it, and again if needed after `close`.

    Args:
        path: The file.
        length: Number of samples, where it is known; else the headers are read for it once.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        self.path = path
        self.length = length
        self._samples: tuple[ShardSample, ...] | None = None
        self._file: BinaryIO | None = None

    def __len__(self) -> int:
        return len(self._read_headers()) if self.length is None else self.length

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open file behind: another process opens its own."""
        return {**self.__dict__, "_samples": None, "_file": None}

    @property
    def samples(self) -> tuple[ShardSample, ...]:
        """The samples in their order, for which nothing but the headers of their files is read.

        Raises:
            DataError: If the shard is missing, compressed, cut off or no tar file, or has not `length` samples.
        """
        if self._samples is None:
            self._samples = self._read_headers()
        return self._samples

    def _read_headers(self) -> tuple[ShardSample, ...]:
        try:
            with self.path.open("rb") as file:
                found = tuple(_group(_members(file, self.path), self.path))
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if self.length not in (None, len(found)):
            raise DataError(
                f"Shard {self.path} holds {counted(len(found), 'sample')} where {self.length:,} are expected; copy it "
                "anew, or correct the shard_lengths of the info file."
            )
        self.length = len(found)
        return found

    def read(self, member: Member) -> bytes:
        """Return the content of one file.

        Raises:
            DataError: If the shard is gone or has become shorter.
        """
        try:
            if self._file is None:
                self._file = self.path.open("rb")
            self._file.seek(member.offset)
            data = self._file.read(member.size)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if len(data) < member.size:
            raise _cut_off(self.path, counted(member.offset + len(data), "byte"))
        return data

    def close(self) -> None:
        """Let go of the file and of what is known about it."""
        if self._file is not None:
            self._file.close()
        self._file = self._samples = None


def _members(file: BinaryIO, path: Path) -> Iterator[tuple[str, Member]]:
    last = ""
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for info in archive:
                # Else tarfile keeps every header in memory.
                archive.members = []  # type: ignore[attr-defined]
                last = info.name
                if info.isreg():
                    yield info.name, Member(info.offset_data, info.size)
            end = archive.offset
    except tarfile.ReadError as error:
        if last:
            raise _cut_off(path, last) from error
        raise DataError(f"Shard {path} is no plain tar file ({error}); make it anew, without compression.") from error
    # tarfile takes any end for the end; a whole archive ends in blocks of zeros.
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise _cut_off(path, last or "its beginning")


def _group(members: Iterator[tuple[str, Member]], path: Path) -> Iterator[ShardSample]:
    names = require("webdataset.tariterators", "wds")
    split = ((*names.base_plus_ext(name), member) for name, member in members)
    # What has no extension, or begins with a dot, belongs to no sample.
    parts = ((key, extension.lower(), member) for key, extension, member in split if key is not None)
    for key, group in groupby(parts, lambda part: part[0]):
        files: dict[str, Member] = {}
        for _, extension, member in group:
            if extension in files:
                raise DataError(f"Shard {path} holds {key}.{extension} twice; give every sample a key of its own.")
            files[extension] = member
        yield ShardSample(key, files)


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"Shard {path} cannot be read: {error}; check the path, the disk and the file's permissions.")


def _cut_off(path: Path, last: str) -> DataError:
    return DataError(f"Shard {path} is cut off or damaged after {last}; copy it anew.")


def find_shards(root: Path, split: str) -> tuple[list[Shard], tuple[str, ...], str | None]:
    """Find the shards of a split: those that timm's info file lists, or else those with its name in their path.

    Args:
        root: Holds the shards and, if there is one, `_info.json` or `info.yaml`, laid out as timm's reader wants it.
        split: `train` or `validation`; other usual names such as `val` are found too.

    Returns:
        The shards in their order; the names of the classes, empty where nothing tells them; and the field of each
        sample's `.json` that holds the label, None for the usual places.

    Raises:
        DataError: If there are none, or one that is listed is missing.
    """
    info = _read_info(root)
    splits = info.get("splits") or {}
    shards, label_key = _listed(root, splits, split) if splits else (_named(root, split), None)
    missing = [str(shard.path) for shard in shards if not shard.path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing):,} of {counted(len(shards), 'shard')} are missing: {', '.join(missing[:3])}; copy them "
            "anew."
        )
    classes, path = info.get("classes"), root / "classnames.txt"
    if not classes and path.is_file():
        classes = _read_text(path).splitlines()
    return shards, tuple(map(str, classes or ())), label_key


def _read_info(root: Path) -> Mapping[str, Any]:
    path = next((root / name for name in INFO_FILES if (root / name).is_file()), None)
    if path is None:
        return {}
    text = _read_text(path)
    try:
        info = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read ({' '.join(str(error).split())}); correct or remove it.") from error
    if not isinstance(info, dict) or not isinstance(info.get("splits", {}), dict):
        raise DataError(f"{path} is no info file of shards: it needs 'splits', each with 'filenames'.")
    return info


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except ValueError as error:
        raise DataError(f"{path} is not UTF-8 ({error}); save it as UTF-8.") from error


def _listed(root: Path, splits: Mapping[str, Any], split: str) -> tuple[list[Shard], str | None]:
    name = find_split(map(str, splits), split)
    if name is None:
        wanted = " or ".join(SPLIT_NAMES[split])
        raise DataError(f"The info file in {root} lists no {split} split ({wanted}), only {', '.join(splits)}.")
    entry = splits[name]
    files = entry.get("filenames") if isinstance(entry, dict) else None
    if not files:
        raise DataError(f"The info file in {root} lists no 'filenames' for its split {name!r}.")
    lengths = entry.get("shard_lengths") or [None] * len(files)
    if len(lengths) != len(files):
        raise DataError(
            f"The info file in {root} has {counted(len(files), 'filename')} and {counted(len(lengths), 'entry')} in "
            f"shard_lengths for {name!r}; it needs as many."
        )
    shards = [Shard(root / file, length) for file, length in zip(files, lengths, strict=True)]
    return shards, entry.get("alt_label") or None


def _named(root: Path, split: str) -> list[Shard]:
    [paths] = walk([root], (".tar",)).files
    # Validation shards before test shards: the two must not mix.
    for name in SPLIT_NAMES[split]:
        found = [Shard(path) for path in paths if name in re.split("[^a-z]+", str(path.relative_to(root)).lower())]
        if found:
            return found
    what = f"{counted(len(paths), 'shard')}, none of them named for" if paths else "no shards (*.tar) for"
    wanted = " or ".join(f"{name}-0000.tar" for name in SPLIT_NAMES[split][:2])
    raise DataError(f"{root} has {what} the {split} split; name them {wanted}, or list them in {INFO_FILES[0]}.")
