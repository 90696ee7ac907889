# Tested in tests/export/bundle/test_bundle.py.
"""What a bundle holds, as JSON, and whether its files are as they were written."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, model_validator

from snnet.errors import ExportError
from snnet.export.bundle.sessions import graph_name
from snnet.space import Activation, InputSpec, OutputSpec
from snnet.table import RowRecord, StitchTable, read_facts
from snnet.utils import InnerPath, Record, counted, file_digest, finish_folder, read_record, sealed, write_json

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
        num_classes: Width of the logits; of dense outputs, how many there are for each pixel.
        versions: Packages that wrote it.
        quantization: How the weights were quantized; None if they are as in the network.
        files: Every other file, relative to the bundle -> its size and SHA-256.
        task: What the network is for, by name and settings; None for one class for each image.
        output: What the logits mean, and whether there are some for each pixel.
    """

    table: StitchTable
    graphs: Mapping[str, str]
    input: InputSpec
    classes: tuple[str, ...] | None
    num_classes: int
    versions: Mapping[str, str]
    quantization: Mapping[str, Any] | None = None
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    task: Mapping[str, Any] | None = None
    output: OutputSpec = field(default_factory=OutputSpec)

    def save(self, folder: Path) -> None:
        """Write it, with sizes and digests of all files that lie in `folder` now."""
        names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        content = {
            "format": FORMAT,
            "version": VERSION,
            "weights": f"{GRAPHS}/{WEIGHTS}",
            "input": asdict(self.input),
            "num_classes": self.num_classes,
            "classes": self.classes,
            "quantization": self.quantization,
            **({} if self.task is None else {"task": self.task, "output": asdict(self.output)}),
            "versions": self.versions,
            "measured": self.table.meta,
            "stitches": [{**row.to_dict(), "graph": self.graphs[row.stitch]} for row in self.table],
            "files": {name: _facts(folder / name) for name in names if name != MANIFEST},
        }
        write_json(folder / MANIFEST, sealed(content))

    @classmethod
    def load(cls, folder: Path, *, verify: bool = True) -> "Manifest":
        """Read it; `verify` refuses one that was changed since it was written.

        Raises:
            ExportError: If it is missing, damaged, of another format or of a newer version.
        """
        path = folder / MANIFEST
        with suppress(OSError):
            finish_folder(folder, last=MANIFEST)
        known: dict[str, Any] = {"what": "bundle", "format": FORMAT, "version": VERSION}
        content = read_record(path, _Content, **known, error=ExportError, verify=verify)
        images = content.input
        size, mean, std = (images.size[0], images.size[1], images.size[2]), tuple(images.mean), tuple(images.std)
        spec = InputSpec(size, mean, std, images.interpolation, images.crop_pct)
        if unsaid := {"interpolation", "crop_pct"} - images.model_fields_set:
            usual = " and ".join(f"{name} {getattr(spec, name)}" for name in sorted(unsaid))
            _log.warning("%s does not say how pictures are resized; taken is %s, as is usual.", path, usual)
        measured = read_facts(str(path), content.measured, ExportError)
        return cls(
            table=StitchTable([row.row for row in content.stitches], measured),
            graphs={row.stitch: row.graph for row in content.stitches},
            input=spec,
            classes=None if content.classes is None else tuple(content.classes),
            num_classes=content.num_classes,
            versions=content.versions,
            quantization=content.quantization,
            files={name: dict(facts) for name, facts in content.files.items()},
            task=content.task,
            output=OutputSpec(**dict(content.output)),
        )

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


def graph_path(stitch: str) -> str:
    """Return the graph of a stitch, relative to the bundle."""
    return f"{GRAPHS}/{graph_name(stitch)}"


def _facts(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}


class _File(Record):
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _Row(RowRecord):
    graph: InnerPath


class _Input(Record):
    size: list[Annotated[int, Field(ge=1)]] = Field(min_length=3, max_length=3)
    mean: list[FiniteFloat] = Field(min_length=1)
    std: list[Annotated[FiniteFloat, Field(gt=0)]] = Field(min_length=1)
    interpolation: str = "bicubic"
    crop_pct: float = Field(0.875, gt=0, le=1)

    @model_validator(mode="after")
    def _agrees(self) -> "_Input":
        if not len(self.mean) == len(self.std) == self.size[0]:
            raise ValueError(f"mean and std have one number for each of {counted(self.size[0], 'channel')}")
        return self


class _Output(Record):
    activation: Activation = "softmax"
    dense: bool = False


class _Content(Record):
    format: str
    version: int
    input: _Input
    num_classes: int = Field(ge=1)
    classes: list[str] | None
    quantization: dict[str, Any] | None
    task: dict[str, Any] | None = None
    output: _Output = _Output()
    versions: dict[str, str]
    measured: dict[str, Any]
    stitches: list[_Row] = Field(min_length=1)
    files: dict[InnerPath, _File]

    @model_validator(mode="after")
    def _agrees(self) -> "_Content":
        if self.classes is not None and len(self.classes) != self.num_classes:
            raise ValueError(f"classes are {len(self.classes)} names, and num_classes is {self.num_classes}")
        for row in self.stitches:
            if row.graph != graph_path(row.stitch):
                raise ValueError(f"the graph of {row.stitch} is called {graph_path(row.stitch)}, and not {row.graph}")
        for what in ("stitch", "index"):
            if len({(getattr(row, what), row.row.precision) for row in self.stitches}) < len(self.stitches):
                raise ValueError(f"stitches: two have the same {what}")
        if missing := {f"{GRAPHS}/{WEIGHTS}", *(row.graph for row in self.stitches)} - self.files.keys():
            raise ValueError(f"files: {sorted(missing)[0]} is not among them")
        return self
