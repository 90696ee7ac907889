"""A depth for each pixel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, smooth_l1_loss, softplus

from snnet.errors import DataError, RecipeError
from snnet.space import OutputSpec
from snnet.tasks.task import TASKS, Task

_GRID = 16
"""Positions along an axis at which answers are compared; more cost memory and tell little."""
_CLOSE = 1.25
"""Depths are close where neither is more than this many times the other."""
_LOW = -15.0
"""Below it softplus is the exponential function to the last digit of single precision."""


@TASKS.register("depth")
@dataclass(frozen=True)
class Depth(Task):
    """RMSE, AbsRel and the percent of close pixels of `(B, 1, H, W)`, with depths `(B, H, W)`; unknown where none is.

    Scores are over all known pixels of all images. A pixel whose depth is not finite counts as one of depth 0.

    Attributes:
        objective: Loss of an image. `silog`: the mean square of the logarithms' differences, less a part of the square
            of their mean, which is what all depths are off by alike (Eigen et al. 2014, eq. 4). `smooth_l1`: absolute
            differences, squared where they are small.
        balance: The part of `silog`, from 0 (none) to 1 (a wrong scale costs nothing).
        beta: Difference, in the unit of depth, below which `smooth_l1` is a square.
        positive: What makes depths of outputs: `softplus`, or `exp`, so that outputs are logarithms.
    """

    scores: ClassVar[tuple[str, ...]] = ("rmse", "absrel", "delta1")
    dense: ClassVar[bool] = True
    targets: ClassVar[str] = "depths"
    objective: Literal["silog", "smooth_l1"] = "silog"
    balance: float = 0.5
    beta: float = 1.0
    positive: Literal["softplus", "exp"] = "softplus"

    def __post_init__(self) -> None:
        kinds = {"objective": ("silog", "smooth_l1"), "positive": ("softplus", "exp")}
        for name, accepted in kinds.items():
            if getattr(self, name) not in accepted:
                raise RecipeError(f"{name} is {getattr(self, name)!r}; accepted: {', '.join(accepted)}.")
        if not (0 <= self.balance <= 1 and self.beta > 0):
            raise RecipeError(
                f"balance is {self.balance} and beta {self.beta}; give a balance from 0 to 1 and a beta above 0."
            )

    @property
    def output(self) -> OutputSpec:
        """What outputs mean: depths, once they are made positive."""
        return OutputSpec(self.positive, dense=True)

    def check_targets(self, images: Tensor, targets: Tensor, outputs: int) -> Tensor:
        """Return the depths in single precision, 0 where they are unknown; see `Task.check_targets`."""
        if images.ndim != 4 or targets.shape != (len(images), *images.shape[2:]) or not targets.is_floating_point():
            raise DataError(
                "A batch must be images (B, C, H, W) with depths (B, H, W), floating-point numbers of their size, "
                f"not {tuple(images.shape)} with {targets.dtype} {tuple(targets.shape)}."
            )
        if outputs != 1:
            raise DataError(
                f"A network with {outputs} outputs for each pixel gives no depth; give its head one: "
                "net.set_head(name, outputs=1)."
            )
        depths = targets.float()
        return torch.where(depths.isfinite() & (depths > 0), depths, 0.0)

    def log_depths(self, outputs: Tensor) -> Tensor:
        """Return the logarithms `(B, H, W)` of the depths that outputs `(B, 1, H, W)` mean.

        All else of this task is made of them, so that loss, scores and answers speak of the same depths.
        """
        raw = outputs[:, 0]
        if self.positive == "exp":
            return raw
        # Far below zero softplus is 0 in few digits, but its logarithm is known.
        return torch.where(raw < _LOW, raw, softplus(raw.clamp_min(_LOW)).log())

    def depths(self, outputs: Tensor) -> Tensor:
        """Return the depths `(B, H, W)` that outputs `(B, 1, H, W)` mean, in the unit of the targets."""
        return self.log_depths(outputs).exp()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over images of the loss over their known pixels; an image without any adds 0."""
        known = targets > 0
        count = known.flatten(1).sum(1).clamp_min(1)
        # Where nothing is known no gradient may come either, not even NaN times 0.
        logs = self.log_depths(torch.where(known[:, None], outputs, 0.0))
        truth = torch.where(known, targets, 1.0)
        if self.objective == "smooth_l1":
            off = smooth_l1_loss(logs.exp(), truth, reduction="none", beta=self.beta)
            return ((off * known).flatten(1).sum(1) / count).mean()
        off = ((logs - truth.log()) * known).flatten(1)
        means = off.sum(1) / count
        return (off.square().sum(1) / count - self.balance * means.square()).mean()

    def follow(self, outputs: Tensor, taught: Tensor, *, kind: str, temperature: float) -> Tensor:  # noqa: ARG002
        """Return the loss with the teacher's depths as the truth, or the mean square of the logarithms' differences."""
        if kind == "hard":
            return self.loss(outputs, self.depths(taught))
        return (self.log_depths(outputs) - self.log_depths(taught)).square().mean()

    def answers(self, outputs: Tensor) -> Tensor:
        """Return logarithms of depths `(B, H, W)`, means over squares of pixels on a grid of 16 by 16 at most."""
        logs = self.log_depths(outputs.float())
        height, width = logs.shape[1:]
        return adaptive_avg_pool2d(logs, (min(height, _GRID), min(width, _GRID)))

    def agreement(self, reference: Tensor, found: Tensor) -> Tensor:
        """Return the share of the grid with close depths."""
        return ((reference - found).abs().exp() < _CLOSE).double().mean((1, 2))

    def statistics(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return of each image square errors, errors as parts of the truth, and pixels close, known, not finite."""
        found, truth = self.depths(outputs.double()), targets.double()
        known, sound = truth > 0, found.isfinite()
        found, truth = torch.where(sound, found, 0.0), torch.where(known, truth, 1.0)
        error = (found - truth).abs()
        close = torch.maximum(found / truth, truth / found) < _CLOSE
        parts = [error.square(), error / truth, close.double(), torch.ones_like(error), (~sound).double()]
        return torch.stack([(part * known).flatten(1).sum(1) for part in parts], 1)

    def score(self, sums: Tensor, images: int) -> Mapping[str, float]:  # noqa: ARG002
        """Return RMSE, AbsRel and the percent of close pixels; nothing where no depth is known."""
        square, part, close, known, _ = sums.tolist()
        if not known:
            return {}
        return {"rmse": (square / known) ** 0.5, "absrel": part / known, "delta1": 100 * close / known}

    def broken(self, sums: Tensor) -> int:
        """Return of how many known pixels the depth was not finite."""
        return int(sums[-1])
