"""How a run goes, where it stands, and what it ended with: plain values."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from snnet.errors import RecipeError
from snnet.utils import Precision, Settings, check_precision, counted

Sharding = Literal["none", "fsdp"]
"""Whether weights and optimizer state are divided over processes."""
Freeze = Literal["nothing", "smallest-anchor", "anchors"]
"""Which anchors stay as they came."""
DistillationKind = Literal["hard", "soft"]
IN_PLACE = "in-place"
"""The source of a teacher that is the first stitch of a step."""


class RunSettings(Settings):
    """How long, where, and what is kept."""

    epochs: float | None = Field(None, gt=0, description="passes over the training images")
    steps: int | None = Field(None, ge=1, description="optimizer steps, in place of epochs")
    seed: int = Field(0, ge=0, lt=2**63, description="decides order, augmentation, stitches and calibration images")
    device: str | None = Field(None, description="cpu or cuda; a GPU where there is one")
    threads: int | None = Field(None, ge=1, le=4096, description="threads of torch on the CPU")
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

    @model_validator(mode="after")
    def _scales_together(self) -> Self:
        if self.sharding == "fsdp" and self.precision == "fp16":
            raise ValueError("sharding fsdp does not go with precision fp16, whose loss scale each process has alone")
        return self

    @cached_property
    def place(self) -> str:
        """`cpu` or `cuda`, the latter by default where there is one.

        Raises:
            RecipeError: If the device is not there or does not compute in this precision.
        """
        available = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
        chosen = self.device or available[-1]
        if chosen not in available:
            raise RecipeError(f"Device {chosen!r} is not available; accepted here: {', '.join(available)}.")
        check_precision(self.precision, chosen)
        return chosen

    def in_steps(self, epochs: float, batches: int) -> int:
        """Return how many whole steps epochs of so many batches have."""
        return int(epochs * batches) // self.accumulation

    def length(self, batches: int) -> int:
        """Return the steps of the run, where an epoch has so many batches.

        Raises:
            RecipeError: If there is none.
        """
        steps = self.in_steps(self.epochs, batches) if self.epochs is not None else self.steps or 0
        if steps < 1:
            raise RecipeError(
                f"{counted(self.epochs, 'epoch')} of {counted(batches, 'batch')} make no whole step; set run.epochs "
                "higher."
            )
        return steps


class OptimSettings(Settings):
    """How weights move.

    At `anchor_lr_scale` 0 the anchors are frozen, as with `freeze` anchors. No gradient of frozen weights is computed,
    nothing of them decays, and the running statistics of their batch norms stay.
    """

    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="adamw or sgd")
    lr: float = Field(1e-4, gt=0, description="peak learning rate of the stitching layers")
    anchor_lr_scale: float = Field(1.0, ge=0, description="the anchors' rate as a share of lr; 0 freezes them")
    head_lr_scale: float = Field(1.0, gt=0, description="the rate of a head over maps, as a multiple of lr")
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

    def frozen(self, anchors: int) -> range:
        """Return the numbers of the anchors, of so many, that stay as they are."""
        if self.freeze == "anchors" or self.anchor_lr_scale == 0:
            return range(anchors)
        return range(1 if self.freeze == "smallest-anchor" else 0)


class DistillationSettings(Settings):
    """How a stitch follows the logits that it is taught.

    Hard: cross-entropy with the teacher's most likely class (DeiT, arXiv 2012.12877, eq. 3). Soft: KL divergence
    between the softened distributions, averaged over images and multiplied by the temperature squared
    (Hinton et al., arXiv 1503.02531).
    """

    kind: DistillationKind = Field("hard", description="hard labels, or soft distributions")
    alpha: float = Field(0.5, ge=0, le=1, description="weight of the teacher; the labels have the rest")
    temperature: float = Field(1.0, gt=0, description="softens both distributions of a soft teacher")


class _TeacherSource(Settings):
    source: str = Field(
        "own-anchors",
        description="own-anchors (each stitch its largest anchor), largest-anchor, or a timm name, as before training; "
        "in-place: the first stitch of each step, for samplers that draw several",
    )
    pretrained: bool = Field(True, description="take the published weights of a timm teacher")
    checkpoint: Path | None = Field(None, description="local weights of a timm teacher")


class TeacherSettings(DistillationSettings, _TeacherSource):
    """Whom the stitches follow besides the labels, and how."""


class LossSettings(Settings):
    """What is minimized."""

    smoothing: float = Field(0.0, ge=0, lt=1, description="label smoothing")
    teacher: TeacherSettings | None = Field(None, description="distillation; null for labels alone")
    first_teacher: TeacherSettings | None = Field(
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


@dataclass(frozen=True)
class TrainStatus:
    """Where a run stands after a step.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        epoch: Epochs done, with the fraction of the present one.
        loss: Mean over the last 50 steps.
        lr: Learning rate of the stitching layers.
        images_per_second: Over the last 50 steps.
        seconds_left: Estimated from them.
        stitch: Id of the stitch that the step trained; of several, joined by ` + `.
    """

    step: int
    steps: int
    epoch: float
    loss: float
    lr: float
    images_per_second: float
    seconds_left: float
    stitch: str

    def __str__(self) -> str:
        return f"loss {self.loss:.3f}  lr {self.lr:.1e}  {self.images_per_second:,.0f} images/s"


@dataclass(frozen=True)
class TrainResult:
    """What a run ended with.

    Attributes:
        steps: Steps done, those before resuming included.
        loss: Mean over the last 50 steps; NaN if there was nothing left to do.
        checkpoint: The last file; None without a directory.
        averaged: The moving average of the network; None without `ema_decay`.
    """

    steps: int
    loss: float
    checkpoint: Path | None
    averaged: nn.Module | None = field(repr=False)


REMOVED_SETTINGS: dict[str, tuple[object, str]] = {
    "data.images": (None, "an epoch is all images; shards tell how many as shard_lengths in an _info.json"),
    "run.stitches_per_rank": (
        "same",
        "all processes train the same stitches; for a step over more of them take the sampler sandwich, or a larger "
        "run.accumulation",
    ),
    "run.sync_batch_norm": (
        False,
        "each process normalizes over its own images; take a larger data.batch_size, or fewer processes",
    ),
}
"""Settings of earlier versions that are gone: name in a recipe -> the value that may still be written, as it is now the
only way, and what replaces the others."""


def removed_fault(name: str, value: object) -> str | None:
    """Return what is wrong with the value of a setting that is gone, None if it says what is done anyway."""
    kept, instead = REMOVED_SETTINGS[name]
    # Overrides come as text.
    return None if str(value).lower() == str(kept).lower() else f"{name}: {value!r} is gone; {instead}"
