# Tested in tests/recipes/test_recipe.py.
"""The sections of a recipe that belong to no other room."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from snnet.data import Augmentation, BatchAugment, DenseAugmentation, TargetSettings, check_outside
from snnet.errors import RecipeError
from snnet.evaluation import Windows
from snnet.network import FamilySettings
from snnet.training import OptimSettings
from snnet.training.samplers import SAMPLERS
from snnet.utils import Settings


class _AnchorSettings(Settings):
    anchors: tuple[str, ...] = Field(
        (), description="timm names, hf-hub:ORG/NAME, or NAME@FILE; two or more, or one whose skips are searched for"
    )
    saved: Path | None = Field(
        None, description="directory of a saved network, or FAMILY@FILE of a published one, in place of anchors"
    )
    pretrained: bool = Field(True, description="take the published weights of the anchors")
    new_heads: bool = Field(False, description="begin with fresh classifiers even where the class counts agree")


class NetworkSettings(FamilySettings, _AnchorSettings):
    """The network: a family of anchors with a space, or a saved network."""

    refused_with = RecipeError

    drop_path: tuple[Annotated[float, Field(ge=0, lt=1)], ...] | None = Field(
        None, description="stochastic depth of the anchors: one rate for all, or one each; timm's own by default"
    )

    @field_validator("drop_path", mode="before")
    @classmethod
    def _one_rate(cls, rates: Any) -> Any:
        return [rates] if isinstance(rates, int | float) and not isinstance(rates, bool) else rates

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.anchors) == bool(self.saved):
            raise ValueError("give either anchors, or saved, the directory of a network")
        kept = ("saved", "drop_path", "lora_rank")
        fields = type(self).model_fields.items()
        extra = [name for name, field in fields if name not in kept and getattr(self, name) != field.default]
        if self.saved and extra:
            raise ValueError(f"a saved network has its anchors and space already; leave out {', '.join(extra)}")
        return self


class DataSettings(Settings):
    """The images."""

    name: str = Field(
        "embedded", description="embedded, folder, wds/NAME, torchvision/NAME, or a timm name such as hfds/NAME"
    )
    root: Path | None = Field(None, description="folder of the data")
    batch_size: int = Field(128, ge=1, description="training images per batch")
    workers: int = Field(0, ge=0, le=1024, description="processes that read images")
    shuffle_buffer: int | None = Field(None, ge=1, description="images in the shuffle buffer of shards")
    max_corrupt: int | None = Field(None, ge=0, description="most images that may be skipped as undecodable")
    download: bool = Field(False, description="fetch missing data over the network")
    target: TargetSettings = Field(TargetSettings(), description="what comes with an image: label, mask or depth")
    upright: bool = Field(True, description="turn pictures as their EXIF data say; false reads them as timm does")

    @property
    def source(self) -> dict[str, Any]:
        """Which images they are, as keywords of `open_dataset`."""
        plain = self.model_dump(include={"name", "root", "max_corrupt", "download", "upright"})
        return {**plain, "target": self.target}

    def check_outside(self, output: Path) -> None:
        """Refuse an output among the images; see `snnet.data.check_outside`."""
        check_outside(output, self.name, self.root)


class MixSettings(Settings):
    """timm's mixup and cutmix."""

    mixup: float = Field(0.0, ge=0, description="alpha of mixup, 0 for none")
    cutmix: float = Field(0.0, ge=0, description="alpha of cutmix, 0 for none")
    prob: float = Field(1.0, ge=0, le=1, description="probability of mixing a batch")
    switch_prob: float = Field(0.5, ge=0, le=1, description="probability of cutmix where both are on")
    mode: Literal["batch", "pair", "elem"] = Field("batch", description="what shares one mixing ratio")


class AugmentSettings(Settings):
    """How training images are varied; null turns a part off."""

    image: Augmentation | None = Field(None, description="augmentation of single images")
    dense: DenseAugmentation | None = Field(None, description="the same of images together with masks or depth")
    batch: BatchAugment | None = Field(None, description="shift and mirroring of whole batches")
    mix: MixSettings | None = Field(None, description="mixup and cutmix")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.image and self.dense:
            raise ValueError("image is for labels and dense for masks and depth; give one of them")
        return self


class TaskSettings(Settings):
    """What the network is for."""

    name: str | None = Field(None, description="a task that is registered; by default what the targets are")
    options: dict[str, Any] = Field({}, description="its settings, such as ignore: 0 or class_weights: median")
    outputs: int | None = Field(None, ge=1, description="width of the outputs; by default the classes of the data")


class HeadSettings(Settings):
    """A head over feature maps, with which all routes end."""

    name: str = Field("linear", description="linear, fpn, upernet, dpt, or one that you registered")
    taps: int | None = Field(None, ge=1, description="how many maps it reads; 4, or as many as there are")
    options: dict[str, Any] = Field({}, description="its settings, such as hidden: 64")


class FirstSettings(Settings):
    """A first phase: the anchors alone learn from the targets, before routes are searched for or layers fitted."""

    steps: int = Field(0, ge=0, description="optimizer steps; 0 for no such phase")
    largest: float | None = Field(
        None, ge=0, le=1, description="share of the steps of the largest anchor, which most routes run; even if null"
    )
    optim: OptimSettings = Field(OptimSettings(), description="how weights move there")


class SamplerSettings(Settings):
    """Which stitch each step trains."""

    name: str = Field(
        "uniform", description="uniform, anchor-share, sandwich, macs-buckets, weighted, or one that you registered"
    )
    options: dict[str, Any] = Field({}, description="its further arguments, such as share: 0.2")
    images: int = Field(1000, ge=1, description="training images that score the stitches first, where it draws by need")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        SAMPLERS.get(name)
        return name


class EvaluationSettings(Settings):
    """What is evaluated when training is over, and now and then before."""

    stitches: Literal["all", "anchors", "none"] = Field("all", description="all, anchors or none")
    images: int | None = Field(None, ge=1, description="validation images, a fixed random choice; all by default")
    batch_size: int = Field(128, ge=1, description="images per batch")
    windows: Windows = Field(Windows(), description="whether dense networks see whole pictures: none, slide, whole")
    budgets: tuple[float, ...] = Field((), description="MACs for which the best stitch is shown at the end")
    every: int = Field(0, ge=0, description="steps between two looks at a few stitches while training; 0 for none")
    every_stitches: int = Field(8, ge=0, description="stitches looked at besides the anchors, spread over the space")
    every_images: int = Field(500, ge=1, description="validation images that they are looked at on")
