# Tested in tests/export/bundle/test_write.py.
"""The weights of many graphs in one file: each tensor once, each on pages of its own."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from snnet.errors import ExportError

if TYPE_CHECKING:
    from onnx import TensorProto

PAGE = 4096
SMALLEST = 1024
"""Bytes below which a tensor stays in its graph: a mapping of its own would cost more."""


class WeightFile:
    """A file that grows by the tensors that it does not have yet, known by their content.

    Graphs that were written before stay right, for nothing in the file moves.

    Args:
        path: The file; it is written anew. Graphs beside it refer to it by name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offsets: dict[bytes, int] = {}
        self._file: BinaryIO = path.open("wb")

    def move_out(self, tensor: "TensorProto") -> None:
        """Put the numbers of an initializer into the file, and into the initializer where they lie."""
        if tensor.string_data or len(tensor.raw_data) < SMALLEST:
            return
        # The shape does not matter: equal bytes serve any.
        key, length = hashlib.sha256(tensor.raw_data).digest(), len(tensor.raw_data)
        if key not in self._offsets:
            try:
                self._file.write(bytes(-self._file.tell() % PAGE))
                self._offsets[key] = self._file.tell()
                self._file.write(tensor.raw_data)
            except OSError as error:
                raise ExportError(
                    f"{self.path} cannot be written ({error}); make room or choose another place."
                ) from error
        tensor.ClearField("raw_data")
        tensor.data_location = type(tensor).EXTERNAL
        del tensor.external_data[:]
        for name, value in (("location", self.path.name), ("offset", self._offsets[key]), ("length", length)):
            tensor.external_data.add(key=name, value=str(value))

    def flush(self) -> None:
        """Make what was added visible to whoever opens the file."""
        self._file.flush()

    def close(self) -> None:
        """Close the file, filled up to whole pages."""
        if not self._file.closed:
            self._file.write(bytes(-self._file.tell() % PAGE))
            self._file.close()
