# Tested in tests/export/test_export.py.
"""Kinds of files that hold one stitch, looked up by name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from snnet.utils import Registry


@dataclass(frozen=True)
class OpenedFile:
    """A file that was written, read again.

    Attributes:
        run: Images `(B, C, H, W)` to logits `(B, classes)`, both on the CPU.
        facts: What stands in its metadata.
    """

    run: Callable[[Tensor], Tensor]
    facts: Mapping[str, str]


class ExportFormat(ABC):
    """One kind of file. Subclass it and file the class with `@EXPORTS.register("name")`."""

    suffix: ClassVar[str]
    """How names of such files end, with the dot."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Packages besides torch whose versions the metadata shall name."""

    @abstractmethod
    def write(self, module: nn.Module, images: Tensor, path: Path, facts: Mapping[str, str]) -> None:
        """Write a module.

        Args:
            module: In evaluation mode, on the CPU; images `(B, C, H, W)` to logits.
            images: Example; its numbers do not matter.
            path: The file. Others may be written beside it, with names that begin like its own; see `place`.
            facts: For the metadata.

        Raises:
            ExportError: If the module cannot be written.
            ExtraError: If a package that writes it is not installed.
        """

    @abstractmethod
    def read(self, path: Path) -> OpenedFile:
        """Read a file as its users will."""

    def place(self, written: Path, target: Path) -> None:
        """Move a written file to its place, and before it those beside it, so that a kill leaves old or new, whole.

        That holds for one file, and for several if the others' names are new each time and the file tells them.
        Formats with names that stay the same override this.
        """
        for file in written.parent.iterdir():
            if file != written:
                file.replace(target.parent / file.name)
        written.replace(target)


EXPORTS: Registry[type[ExportFormat]] = Registry("export format", "snnet.exports", ("snnet.export.files",))
"""Formats by name; `@EXPORTS.register("name")` files one."""
