"""Options that several commands share."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from snnet.space import Direction
from snnet.utils import parse_amount


def _convert(_: Any, tokens: Sequence[Any]) -> float:
    return parse_amount(tokens[0].value)


Amount = Annotated[float | None, Parameter(converter=_convert)]
"""A number that may be written with k, M or G."""

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for machines instead of a table.")]

_IMAGES = (
    "Images: embedded (in the package), folder (one folder per class), wds/NAME (shards of a WebDataset), "
    "torchvision/NAME, or a timm name such as hfds/NAME."
)
DataName = Annotated[str, Parameter(name="--data", help=_IMAGES)]
Root = Annotated[
    Path | None, Parameter(help="Folder of the data; for --data folder it holds train/CLASS/ and val/CLASS/.")
]
OtherData = Annotated[
    str | None,
    Parameter(
        name="--data", help=f"{_IMAGES} By default those of the run, by its recipe.yaml; embedded where there is none."
    ),
]
OtherRoot = Annotated[
    Path | None, Parameter(name="--root", help="Folder of the data; alone, where the images of the run lie now.")
]
Device = Annotated[str | None, Parameter(help="cpu or cuda; by default a GPU where there is one.")]


@Parameter(name="*")
@dataclass(frozen=True)
class FamilyOptions:
    """How anchors are built and joined, and which stitches they have; what is not given is left to the family."""

    kernel_size: Annotated[int | None, Parameter(help="Blocks in a sliding window of paired stitching (2).")] = None
    stride: Annotated[int | None, Parameter(help="Blocks by which the window moves (1).")] = None
    nearest: Annotated[
        bool | None, Parameter(help="Join only neighboring anchors (the default), or every subset of two or more.")
    ] = None
    direction: Annotated[
        Direction | None,
        Parameter(help="From the cheaper to the dearer anchor (fast-to-slow, the default), slow-to-fast, or both."),
    ] = None
    stages: Annotated[
        tuple[int, ...] | None,
        Parameter(
            consume_multiple=True, negative="", help="Stages to stitch, such as 0 1 2; the family's usual by default."
        ),
    ] = None
    num_classes: Annotated[int | None, Parameter(help="Give every anchor a fresh classifier for so many classes.")] = (
        None
    )
    image_size: Annotated[
        int | None,
        Parameter(help="Build every anchor for square images of so many pixels a side; by default each for its own."),
    ] = None
    resample: Annotated[
        bool | None, Parameter(negative="", help="Join grids of features that differ by a whole factor, too.")
    ] = None
    lora_rank: Annotated[
        int | None, Parameter(help="Rank of the part of a stitching layer that is trained; all of it by default.")
    ] = None

    def given(self) -> dict[str, Any]:
        """Return the options that the user set."""
        return {name: value for name, value in asdict(self).items() if value is not None}


USUAL_FAMILY = FamilyOptions()


def default_device(device: str | None) -> str:
    """Return the device that a user named, or else the GPU where there is one and the CPU where there is none."""
    import torch

    return device or ("cuda" if torch.cuda.is_available() else "cpu")
