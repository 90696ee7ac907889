# Tested in tests/network/test_restore.py.
"""What `config.json` of a saved network says, as a typed model."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from snnet.anchors import MODELS, AnchorSource
from snnet.errors import CheckpointError
from snnet.network.head_source import HeadSource
from snnet.space import Cut, Stitch, StitchSpace, check_route
from snnet.tasks import Task, build_task
from snnet.utils import Record, counted, read_record

FORMAT, VERSION = "snnet", 1
_FROM_OUTSIDE = {"pretrained", "checkpoint_path", "cache_dir"}
"""Arguments of `timm.create_model` that open other files or ask the hub."""


def _within(cut: Cut, blocks: list[int]) -> bool:
    ends = ((cut.front, cut.leave), (cut.back, cut.enter))
    moves_on = cut.front != cut.back or cut.enter > cut.leave + 1
    return moves_on and all(anchor < len(blocks) and block < blocks[anchor] for anchor, block in ends)


class AnchorRecord(Record):  # type: ignore[no-redef]  # pydantic's plugin for mypy has a name of its own there
    """How an anchor is built again; `model` is None for a model of the user's own."""

    name: str
    model: str | None
    kwargs: dict[str, Any]

    @field_validator("model")
    @classmethod
    def _is_local(cls, model: str | None) -> str | None:
        if model is not None and model not in MODELS.names() and any(mark in model for mark in ":/@"):
            raise ValueError("a name of timm's or of snnet.MODELS is accepted, and nothing on the hub or in a file")
        return model

    @field_validator("kwargs")
    @classmethod
    def _opens_nothing(cls, kwargs: dict[str, Any]) -> dict[str, Any]:
        if found := _FROM_OUTSIDE & kwargs.keys():
            raise ValueError(f"{' and '.join(sorted(found))} would open other files, and is not accepted")
        return kwargs

    @property
    def source(self) -> AnchorSource:
        """How to build the anchor; there must be a model."""
        return AnchorSource(str(self.model), kwargs=tuple(self.kwargs.items()), name=self.name)


class LayerRecord(Record):
    """A stitching layer and the cuts that it serves, behind one beginning of routes or any."""

    name: str = Field(pattern=r"^\w+$")
    stage: int = Field(ge=0)
    cuts: list[Annotated[str, AfterValidator(lambda text: str(Cut.parse(text)))]] = Field(min_length=1)
    after: str | None = None


class SpaceRecord(Record):
    """A space as `StitchSpace.to_config` writes it."""

    depths: list[list[Annotated[int, Field(ge=1)]]] = Field(min_length=1)
    stitches: list[Annotated[str, AfterValidator(lambda text: str(Stitch(text)))]] = Field(min_length=1)
    layers: list[LayerRecord]

    @model_validator(mode="after")
    def _agrees(self) -> "SpaceRecord":
        blocks = [sum(stages) for stages in self.depths]
        served = {(cut, layer.after) for layer in self.layers for cut in layer.cuts}
        for layer in self.layers:
            cuts = [Cut.parse(cut) for cut in layer.cuts]
            if len({(cut.front, cut.back) for cut in cuts}) > 1 or not all(_within(cut, blocks) for cut in cuts):
                raise ValueError(f"the cuts of layer {layer.name} are not all between the same two anchors")
        for stitch in map(Stitch, self.stitches):
            check_route(stitch, self.depths)
            for cut, after in zip(stitch.cuts, stitch.beginnings, strict=True):
                if served.isdisjoint({(str(cut), None), (str(cut), after)}):
                    raise ValueError(f"stitch {stitch} has a cut that no layer serves, {cut}")
        for what, names in {"stitches": self.stitches, "layers": [layer.name for layer in self.layers]}.items():
            if len(set(names)) < len(names):
                raise ValueError(f"one of the {what} is there twice")
        return self


class HeadRecord(Record):
    """A head over feature maps, as `HeadSource.to_config` writes it."""

    name: str | None
    outputs: int = Field(ge=1)
    options: dict[str, Any] = Field(default_factory=dict)


class TaskRecord(Record):
    """A task, as `describe_task` writes it: its name, and its settings beside it."""

    model_config = ConfigDict(extra="allow")

    name: str


class NetworkRecord(Record):
    """All of `config.json`."""

    format: str
    version: int = 0
    anchors: list[AnchorRecord] = Field(min_length=1)
    space: SpaceRecord
    classes: list[str] | None = None
    resample: bool = False
    norm_on_stitched: bool = True
    lora_rank: int | None = Field(None, ge=1)
    taps: int | None = Field(None, ge=1)
    head: HeadRecord | None = None
    task: TaskRecord | None = None
    weights: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="SHA-256 of the file of weights")

    @model_validator(mode="after")
    def _agrees(self) -> "NetworkRecord":
        if len(self.anchors) != len(self.space.depths):
            raise ValueError(
                f"it has {counted(len(self.anchors), 'anchor')}, and its space is of {len(self.space.depths)}"
            )
        return self

    @classmethod
    def read(cls, path: Path, *, verify: bool) -> "NetworkRecord":
        """Read the file; `verify` refuses one that was changed since it was written.

        Raises:
            CheckpointError: If it is missing, damaged, of another format or of a newer version.
        """
        known: dict[str, Any] = {"what": "network", "format": FORMAT, "version": VERSION}
        return read_record(path, cls, **known, error=CheckpointError, verify=verify)

    def built_head(self) -> HeadSource | None:
        """Return how to build the head; None if there is none.

        Raises:
            CheckpointError: If it was a module of the user's own.
        """
        if self.head is None:
            return None
        if self.head.name is None:
            raise CheckpointError(
                "The head over feature maps was a module of the user's own, which the file cannot rebuild; file what "
                "builds it, @snnet.HEADS.register('NAME'), give its name to net.set_head, and save the network again."
            )
        return HeadSource(self.head.name, self.head.outputs, self.head.options)

    def built_task(self) -> Task | None:
        """Return the task; None if it is one class for each image.

        Raises:
            RecipeError: If there is no task of that name.
        """
        return None if self.task is None else build_task(**self.task.model_dump())

    def built_space(self) -> StitchSpace:
        """Return the space."""
        return StitchSpace.from_config(self.space.model_dump(exclude_none=True))
