"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from snnet.network import FamilySettings

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


@Parameter(name="*", consume_multiple=True, negative_iterable="")
class FamilyOptions(FamilySettings):
    """What a command takes of a family besides its anchors."""

    num_classes: int | None = Field(None, ge=1, description="give every anchor a fresh classifier for so many classes")

    def given(self) -> dict[str, Any]:
        """Return the options that the user set."""
        return self.model_dump(include=self.model_fields_set)


USUAL_FAMILY = FamilyOptions()


def default_device(device: str | None) -> str:
    """Return the device that a user named, or else the GPU where there is one and the CPU where there is none."""
    import torch

    return device or ("cuda" if torch.cuda.is_available() else "cpu")
