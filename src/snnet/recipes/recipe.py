"""A whole experiment as checked data: what is stitched, on which images, how it is trained and evaluated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from snnet.errors import did_you_mean
from snnet.recipes.recipe_file import check_recipe, packaged_methods, read_recipe_file
from snnet.space import Direction
from snnet.training import Freeze, Precision, Sharding
from snnet.training.samplers import SAMPLERS
from snnet.utils import write_text

IN_PLACE = "in-place"


class Section(BaseModel):
    """Settings of which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    @field_validator("*", mode="before")
    @classmethod
    def _lists_as_text(cls, value: Any, info: ValidationInfo) -> Any:
        """Accept `a,b` for a list, and refuse yes and no where a number is meant."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        kinds = (annotation, *get_args(annotation))
        if isinstance(value, bool) and bool not in kinds:
            raise ValueError("yes and no are no value here")
        if isinstance(value, str) and any(get_origin(kind) is tuple for kind in kinds):
            return [part.strip() for part in value.split(",")]
        return value


class NetworkSection(Section):
    """The network: a family of anchors with a space, or a saved network."""

    anchors: tuple[str, ...] = Field((), description="timm names, hf-hub:ORG/NAME, or NAME@FILE, two or more")
    saved: Path | None = Field(
        None, description="directory of a saved network, or FAMILY@FILE of a published one, in place of anchors"
    )
    pretrained: bool = Field(True, description="take the published weights of the anchors")
    image_size: int | None = Field(
        None, ge=1, description="pixels a side of square images to build the anchors for; by default each for its own"
    )
    resample: bool = Field(False, description="join grids of features that differ by a whole factor, too")
    new_heads: bool = Field(False, description="begin with fresh classifiers even where the class counts agree")
    kernel_size: int = Field(2, ge=1, description="blocks in a sliding window")
    stride: int = Field(1, ge=1, description="blocks by which the window moves")
    nearest: bool = Field(True, description="join only neighboring anchors")
    direction: Direction = Field("fast-to-slow", description="fast-to-slow, slow-to-fast or both")
    stages: tuple[int, ...] | None = Field(None, description="stages to stitch; all by default")
    drop_path: tuple[Annotated[float, Field(ge=0, lt=1)], ...] | None = Field(
        None, description="stochastic depth of the anchors: one rate for all, or one each; timm's own by default"
    )
    lora_rank: int | None = Field(
        None, ge=1, description="rank of the part of a stitching layer that is trained; null trains all of it"
    )

    @field_validator("drop_path", mode="before")
    @classmethod
    def _one_rate(cls, rates: Any) -> Any:
        return [rates] if isinstance(rates, int | float) and not isinstance(rates, bool) else rates

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.anchors) == bool(self.saved):
            raise ValueError("give either anchors, two or more, or saved, the directory of a network")
        kept = ("saved", "drop_path", "lora_rank")
        fields = type(self).model_fields.items()
        extra = [name for name, field in fields if name not in kept and getattr(self, name) != field.default]
        if self.saved and extra:
            raise ValueError(f"a saved network has its anchors and space already; leave out {', '.join(extra)}")
        return self


class DataSection(Section):
    """The images."""

    name: str = Field(
        "embedded", description="embedded, folder, wds/NAME, torchvision/NAME, or a timm name such as hfds/NAME"
    )
    root: Path | None = Field(None, description="folder of the data")
    batch_size: int = Field(128, ge=1, description="training images per batch")
    workers: int = Field(0, ge=0, description="processes that read images")
    images: int | None = Field(None, ge=1, description="training images of an epoch of a stream; counted by default")
    shuffle_buffer: int | None = Field(None, ge=1, description="images in the shuffle buffer of a stream")
    max_corrupt: int | None = Field(None, ge=0, description="most images that may be skipped as undecodable")
    download: bool = Field(False, description="fetch missing data over the network")


class CalibrationSection(Section):
    """How the stitching layers are initialized."""

    images: int = Field(100, ge=1, description="training images to fit on")
    method: Literal["least-squares", "kaiming"] = Field("least-squares", description="least-squares or kaiming")
    ridge: float = Field(0.0, ge=0, description="weight decay of the fit, relative to a channel's variance")


class RecalibrationSection(Section):
    """How running statistics of batch norms are measured for each stitch, before it is evaluated."""

    images: int = Field(
        512, ge=0, description="clean training images, where there is batch norm; 0 leaves the anchors'"
    )
    batch_size: int = Field(64, ge=2, description="images that are normalized together")

    @field_validator("images")
    @classmethod
    def _more_than_one(cls, images: int) -> int:
        if images == 1:
            raise ValueError("one image has no variance; give 0 or a few hundred")
        return images


class ImageAugment(Section):
    """timm's augmentation of single images; the defaults are DeiT's."""

    scale: tuple[float, float] = Field((0.08, 1.0), description="share of the area that a random crop keeps")
    ratio: tuple[float, float] = Field((3 / 4, 4 / 3), description="aspect ratio of a random crop")
    hflip: float = Field(0.5, ge=0, le=1, description="probability of mirroring")
    vflip: float = Field(0.0, ge=0, le=1, description="probability of turning upside down")
    color_jitter: float | None = Field(0.3, ge=0, description="strength; used without auto_augment only")
    auto_augment: str | None = Field("rand-m9-mstd0.5-inc1", description="a policy of timm, or null")
    interpolation: str | None = Field(None, description="bilinear, bicubic or random; the anchors' by default")
    re_prob: float = Field(0.25, ge=0, le=1, description="probability of erasing a rectangle")
    re_mode: Literal["const", "rand", "pixel"] = Field("pixel", description="what fills it")
    re_count: int = Field(1, ge=1, description="largest number of rectangles")


class BatchShift(Section):
    """Random shift and mirroring of whole batches, fast for small images."""

    pad: int = Field(2, ge=0, description="largest shift in pixels")
    flip: bool = Field(True, description="mirror each image with probability one half")
    fill: float | None = Field(None, description="value of uncovered pixels; black in grey images, the mean in color")


class MixSection(Section):
    """timm's mixup and cutmix."""

    mixup: float = Field(0.0, ge=0, description="alpha of mixup, 0 for none")
    cutmix: float = Field(0.0, ge=0, description="alpha of cutmix, 0 for none")
    prob: float = Field(1.0, ge=0, le=1, description="probability of mixing a batch")
    switch_prob: float = Field(0.5, ge=0, le=1, description="probability of cutmix where both are on")
    mode: Literal["batch", "pair", "elem"] = Field("batch", description="what shares one mixing ratio")


class AugmentSection(Section):
    """How training images are varied; null turns a part off."""

    image: ImageAugment | None = Field(None, description="augmentation of single images")
    batch: BatchShift | None = Field(None, description="shift and mirroring of whole batches")
    mix: MixSection | None = Field(None, description="mixup and cutmix")


class TeacherSection(Section):
    """Whom the stitches follow besides the labels."""

    source: str = Field(
        "own-anchors",
        description="own-anchors (each stitch its dearest anchor), largest-anchor, or a timm name, as before training; "
        "in-place: the first stitch of each step, for samplers that draw several",
    )
    pretrained: bool = Field(True, description="take the published weights of a timm teacher")
    checkpoint: Path | None = Field(None, description="local weights of a timm teacher")
    kind: Literal["hard", "soft"] = Field("hard", description="hard labels, or soft distributions")
    alpha: float = Field(0.5, ge=0, le=1, description="weight of the teacher; the labels have the rest")
    temperature: float = Field(1.0, gt=0, description="softens both distributions of a soft teacher")


class LossSection(Section):
    """What is minimized."""

    smoothing: float = Field(0.0, ge=0, lt=1, description="label smoothing")
    teacher: TeacherSection | None = Field(None, description="distillation; null for labels alone")
    first_teacher: TeacherSection | None = Field(
        None, description="with an in-place teacher: who teaches the first stitch itself; null for labels alone"
    )

    @model_validator(mode="after")
    def _one_is_first(self) -> Self:
        if self.first_teacher is None:
            return self
        if self.teacher is None or self.teacher.source != IN_PLACE:
            raise ValueError(f"first_teacher is for a teacher whose source is {IN_PLACE}; set teacher alone")
        if self.first_teacher.source == IN_PLACE:
            raise ValueError("the first stitch of a step cannot teach itself; name another source of first_teacher")
        return self


class OptimSection(Section):
    """How weights move."""

    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="adamw or sgd")
    lr: float = Field(1e-4, gt=0, description="peak learning rate of the stitching layers")
    anchor_lr_scale: float = Field(1.0, ge=0, description="the anchors' rate as a share of lr; 0 freezes them")
    freeze: Freeze = Field(
        "nothing", description="what is not trained: nothing, smallest-anchor, or anchors (stitching layers alone are)"
    )
    weight_decay: float = Field(0.05, ge=0, description="decay of all weights but norms, biases and the like")
    betas: tuple[float, float] = Field((0.9, 0.999), description="of adamw")
    eps: float = Field(1e-8, gt=0, description="of adamw")
    momentum: float = Field(0.9, ge=0, description="of sgd")
    nesterov: bool = Field(False, description="of sgd")
    warmup_epochs: float = Field(0.0, ge=0, description="epochs over which the rate rises")
    min_lr: float = Field(0.0, ge=0, description="rate at the end of the cosine")
    clip_norm: float | None = Field(None, gt=0, description="largest norm of all gradients; null does not clip")


class SamplerSection(Section):
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


class RunSection(Section):
    """How long, where, and what is kept."""

    epochs: float | None = Field(None, gt=0, description="passes over the training images")
    steps: int | None = Field(None, ge=1, description="optimizer steps, in place of epochs")
    seed: int = Field(0, ge=0, description="decides order, augmentation, stitches, and calibration images")
    device: str | None = Field(None, description="cpu or cuda; a GPU where there is one")
    threads: int | None = Field(None, ge=1, description="threads of torch on the CPU")
    precision: Precision = Field("fp32", description="fp32, bf16, or fp16 on a GPU")
    accumulation: int = Field(1, ge=1, description="batches per step")
    ema_decay: float | None = Field(None, ge=0, lt=1, description="decay of a moving average of the weights")
    log_every: int = Field(10, ge=1, description="steps between two lines of the log")
    save_every: int = Field(100, ge=0, description="steps between two checkpoints; 0 saves at the end only")
    keep: int = Field(2, ge=1, description="checkpoints that stay")
    trackers: tuple[str, ...] = Field(("tensorboard",), description="accelerate's trackers: tensorboard, mlflow, wandb")
    sharding: Sharding = Field("none", description="none, or fsdp for families that do not fit one device")

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either epochs or steps")
        return self


class EvaluationSection(Section):
    """What is evaluated when training is over, and now and then before."""

    stitches: Literal["all", "anchors", "none"] = Field("all", description="all, anchors or none")
    images: int | None = Field(None, ge=1, description="validation images, a fixed random choice; all by default")
    batch_size: int = Field(128, ge=1, description="images per batch")
    budgets: tuple[float, ...] = Field((), description="MACs for which the best stitch is shown at the end")
    every: int = Field(0, ge=0, description="steps between two looks at a few stitches while training; 0 for none")
    every_stitches: int = Field(8, ge=0, description="stitches looked at besides the anchors, spread over the space")
    every_images: int = Field(500, ge=1, description="validation images that they are looked at on")


class Recipe(Section):
    """One experiment, complete: read from YAML by `Recipe.load`, built by `build_parts`, run by `Run`.

    No section may bear the name of a command of `snnet`.
    """

    recipe: str | None = Field(
        None, description="default or paper: a method, whose settings lie under those of the file"
    )

    network: NetworkSection
    data: DataSection = DataSection()
    calibration: CalibrationSection = CalibrationSection()
    recalibration: RecalibrationSection = RecalibrationSection()
    augment: AugmentSection = AugmentSection()
    loss: LossSection = LossSection()
    optim: OptimSection = OptimSection()
    sampler: SamplerSection = SamplerSection()
    run: RunSection
    evaluation: EvaluationSection = EvaluationSection()

    @field_validator("recipe")
    @classmethod
    def _known_method(cls, name: str | None) -> str | None:
        known = packaged_methods()
        if name is not None and name not in known:
            raise ValueError(f"there is no method {name!r}; accepted: {', '.join(known)}.{did_you_mean(name, known)}")
        return name

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

    def to_yaml(self) -> str:
        """Return all settings as YAML, the defaults written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def save(self, path: str | Path) -> Path:
        """Write all settings as YAML, whole or not at all."""
        return write_text(path, self.to_yaml())
