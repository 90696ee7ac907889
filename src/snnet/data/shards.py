"""Shards of a WebDataset: tar files in which the members of one sample follow each other and share a key."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

from snnet.errors import DataError
from snnet.utils import require


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
                f"Shard {self.path} holds {len(found)} samples where {self.length} are expected; copy it anew, or "
                "correct the shard_lengths of the info file."
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
            raise _cut_off(self.path, f"{member.offset + len(data)} bytes")
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
