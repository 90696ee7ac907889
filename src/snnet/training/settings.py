"""How a run goes, where it stands, and what it ended with: plain values."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from snnet.errors import RecipeError
from snnet.training.engine import Sharding
from snnet.training.trackers import check_trackers
from snnet.utils import Precision

_LEAST = {"steps": 1, "seed": 0, "accumulation": 1, "log_every": 1, "save_every": 0, "keep": 1}


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a run goes.

    Attributes:
        steps: Optimizer steps in all.
        seed: With the step, decides the stitch, mixup, cutmix, dropout and drop path.
        accumulation: Batches per step, all with the same stitches.
        clip_norm: Largest norm of all gradients together; None does not clip.
        precision: `fp32`, `bf16`, or on a GPU `fp16`.
        device: `cpu` or `cuda`; None takes a GPU where there is one.
        ema_decay: Keep a moving average of the weights with this decay; None keeps none.
        log_every: Steps between two lines of the log.
        save_every: Steps between two checkpoints; 0 saves at the end only.
        keep: Checkpoints that stay.
        trackers: accelerate's names of trackers that get the log too.
        sharding: `fsdp` divides weights, gradients and optimizer state over the processes, `none` copies them.
    """

    steps: int
    seed: int = 0
    accumulation: int = 1
    clip_norm: float | None = None
    precision: Precision = "fp32"
    device: str | None = None
    ema_decay: float | None = None
    log_every: int = 10
    save_every: int = 100
    keep: int = 2
    trackers: tuple[str, ...] = ("tensorboard",)
    sharding: Sharding = "none"

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least {least}.")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise RecipeError(f"clip_norm is {self.clip_norm}; it must be above 0, or None to not clip.")
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise RecipeError(f"ema_decay is {self.ema_decay}; it must be at least 0 and below 1.")
        self._check_processes()
        check_trackers(self.trackers)

    def _check_processes(self) -> None:
        if self.sharding not in ("none", "fsdp"):
            raise RecipeError(f"sharding is {self.sharding!r}; accepted: none, fsdp.")
        if self.sharding == "fsdp" and self.precision == "fp16":
            raise RecipeError("sharding fsdp does not go with precision fp16, whose loss scale each process has alone.")


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
    averaged: nn.Module | None
