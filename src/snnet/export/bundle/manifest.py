# Tested in tests/export/bundle/test_bundle.py.
"""What a bundle holds, as JSON, and whether its files are as they were written."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from snnet.errors import ExportError
from snnet.space import InputSpec
from snnet.table import StitchRow, StitchTable
from snnet.utils import read_description, write_json

_log = logging.getLogger(__name__)

FORMAT, VERSION = "snnet-bundle", 1
MANIFEST = "manifest.json"
"""File of a bundle that describes it."""
GRAPHS, WEIGHTS = "stitches", "weights.bin"
"""The folder of the graphs, and the file of the weights beside them.

onnxruntime refuses weights that lie outside of the folder of their graph.
"""


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says.

    Attributes:
        table: Costs, scores and latencies of the stitches, as far as the network had them.
        graphs: Id of each stitch -> its graph, relative to the bundle.
        input: Size and normalization of the images.
        classes: Names of the classes, if known.
        num_classes: Width of the logits.
        versions: Packages that wrote it.
        quantization: How the weights were quantized; None if they are as in the network.
        files: Every other file, relative to the bundle -> its size and SHA-256.
    """

    table: StitchTable
    graphs: Mapping[str, str]
    input: InputSpec
    classes: tuple[str, ...] | None
    num_classes: int
    versions: Mapping[str, str]
    quantization: Mapping[str, Any] | None = None
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it, with sizes and digests of all files that lie in `folder` now."""
        names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        write_json(
            folder / MANIFEST,
            {
                "format": FORMAT,
                "version": VERSION,
                "weights": f"{GRAPHS}/{WEIGHTS}",
                "input": asdict(self.input),
                "num_classes": self.num_classes,
                "classes": self.classes,
                "quantization": self.quantization,
                "versions": self.versions,
                "measured": self.table.meta,
                "stitches": [{**row.to_dict(), "graph": self.graphs[row.stitch]} for row in self.table],
                "files": {name: _facts(folder / name) for name in names if name != MANIFEST},
            },
        )

    @classmethod
    def load(cls, folder: Path) -> "Manifest":
        """Read it.

        Raises:
            ExportError: If it is missing, damaged, of another format or of a newer version.
        """
        path = folder / MANIFEST
        content = read_description(path, what="bundle", format=FORMAT, version=VERSION, error=ExportError)
        try:
            rows = [dict(row) for row in content["stitches"]]
            graphs = {row["stitch"]: row.pop("graph") for row in rows}
            rows_read = [StitchRow(row.pop("index"), row.pop("stitch"), row) for row in rows]
            images = dict(content["input"])
            size, mean, std = (tuple(images.pop(name)) for name in ("size", "mean", "std"))
            spec = InputSpec(size, mean, std, **images)
            if unsaid := {"interpolation", "crop_pct"} - images.keys():
                usual = " and ".join(f"{name} {getattr(spec, name)}" for name in sorted(unsaid))
                _log.warning("%s does not say how pictures are resized; taken is %s, as is usual.", path, usual)
            return cls(
                table=StitchTable(rows_read, content["measured"]),
                graphs=graphs,
                input=spec,
                classes=None if content["classes"] is None else tuple(content["classes"]),
                num_classes=content["num_classes"],
                versions=content["versions"],
                quantization=content["quantization"],
                files=content["files"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ExportError(f"{path} is damaged ({error!r}); copy or export the bundle again.") from None

    def check(self, folder: Path) -> None:
        """Compare all files with what was written.

        Raises:
            ExportError: If one is missing or differs; the message names it.
        """
        for name, known in self.files.items():
            path = folder / name
            if not path.is_file():
                raise ExportError(f"{path} is missing from the bundle; copy or export the bundle again.")
            if path.stat().st_size != known["bytes"]:
                raise ExportError(
                    f"{path} has {path.stat().st_size:,} bytes and was written with {known['bytes']:,}; copy or "
                    "export the bundle again."
                )
            if _facts(path)["sha256"] != known["sha256"]:
                raise ExportError(f"{path} is damaged: its SHA-256 is another; copy or export the bundle again.")


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
