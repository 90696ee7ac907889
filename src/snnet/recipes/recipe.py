"""A whole experiment as checked data: what is stitched, on which images, how it is trained and evaluated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from snnet.data import Augmentation, BatchAugment, check_outside
from snnet.errors import RecipeError, did_you_mean
from snnet.init import CalibrationSettings, RecalibrationSettings
from snnet.network import FamilySettings
from snnet.recipes.recipe_file import METHODS, check_recipe, packaged, read_recipe_file
from snnet.searching import SearchSettings
from snnet.space import SpaceSettings
from snnet.training import LossSettings, OptimSettings, RunSettings
from snnet.training.samplers import SAMPLERS
from snnet.utils import Settings, write_text


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
    upright: bool = Field(True, description="turn pictures as their EXIF data say; false reads them as timm does")

    @property
    def source(self) -> dict[str, Any]:
        """Which images they are, as keywords of `open_dataset`."""
        return self.model_dump(include={"name", "root", "max_corrupt", "download", "upright"})

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
    batch: BatchAugment | None = Field(None, description="shift and mirroring of whole batches")
    mix: MixSettings | None = Field(None, description="mixup and cutmix")


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
    budgets: tuple[float, ...] = Field((), description="MACs for which the best stitch is shown at the end")
    every: int = Field(0, ge=0, description="steps between two looks at a few stitches while training; 0 for none")
    every_stitches: int = Field(8, ge=0, description="stitches looked at besides the anchors, spread over the space")
    every_images: int = Field(500, ge=1, description="validation images that they are looked at on")


class Recipe(Settings):
    """One experiment, complete: read from YAML by `Recipe.load`, built by `build_parts`, run by `Run`.

    No section may bear the name of a command of `snnet`.
    """

    recipe: str | None = Field(
        None, description="default, windows or paper: a method, whose settings lie under those of the file"
    )

    network: NetworkSettings
    routes: SearchSettings | None = Field(
        None, description="which routes of the anchors are searched for; null takes those of the network's windows"
    )
    data: DataSettings = DataSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    recalibration: RecalibrationSettings = RecalibrationSettings()
    augment: AugmentSettings = AugmentSettings()
    loss: LossSettings = LossSettings()
    optim: OptimSettings = OptimSettings()
    sampler: SamplerSettings = SamplerSettings()
    run: RunSettings
    evaluation: EvaluationSettings = EvaluationSettings()

    @field_validator("recipe")
    @classmethod
    def _known_method(cls, name: str | None) -> str | None:
        known = packaged(METHODS)
        if name is not None and name not in known:
            raise ValueError(f"there is no method {name!r}; accepted: {', '.join(known)}.{did_you_mean(name, known)}")
        return name

    @model_validator(mode="after")
    def _one_way_to_routes(self) -> Self:
        if self.routes is None:
            return self
        if self.network.saved:
            raise ValueError("a saved network has its stitches; leave routes out, `snnet search` gives it others")
        changed = self.network.model_dump(include=set(SpaceSettings.model_fields), exclude_defaults=True)
        if windows := [f"network.{name}" for name in changed]:
            raise ValueError(
                f"a space that is searched has no windows; leave {' and '.join(windows)} out, or routes, which comes "
                "with recipe: default and not with recipe: windows"
            )
        return self

    @classmethod
    def load(cls, source: str | Path, overrides: Mapping[str, Any] | None = None) -> Self:
        """Read a recipe from a YAML file, or by the name of one in the package.

        Args:
            source: Path, or a name such as `embedded_vit`.
            overrides: Dotted key -> value, such as `{"optim.lr": 1e-4}`; they win over the file. So does a method,
                `{"recipe": "paper"}`, in what it says; other overrides win over it.

        Raises:
            RecipeError: If the file is missing or not YAML, or with all faults in it at once.
        """
        text, origin = read_recipe_file(source)
        return check_recipe(cls, text, overrides or {}, origin)

    def with_run(self, **settings: Any) -> Self:
        """Return the recipe with other settings of its run; steps take the place of epochs."""
        lasting = {"epochs": None} if "steps" in settings else {}
        return self.model_copy(update={"run": RunSettings(**{**self.run.model_dump(), **lasting, **settings})})

    def to_yaml(self) -> str:
        """Return all settings as YAML, the defaults written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def save(self, path: str | Path) -> Path:
        """Write all settings as YAML, whole or not at all."""
        return write_text(path, self.to_yaml())
