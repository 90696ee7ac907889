"""What a task is: the one place that training, evaluation, search and selection ask what outputs and targets mean."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from snnet.errors import DataError, RecipeError, TrainingError
from snnet.space import Activation, OutputSpec
from snnet.utils import Registry


class Task(ABC):
    """What a network is for; subclass it for a task of your own, and file it with `@TASKS.register("name")`.

    Outputs are what a route gives for a batch: `(B, outputs)`, or `(B, outputs, H, W)` where the task is dense. The
    settings of a task, if it has any, are the fields of a dataclass.

    Attributes:
        scores: Columns that `score` gives, the first is what networks are chosen by. Say what they are, and that
            more is better, with `snnet.table.COLUMNS.register(name)(Column(...))`; of other columns less is better.
        dense: Whether outputs and targets are maps, so that networks need a head over feature maps.
        counts_hits: Whether the first of `statistics` is 1 for an image that is right and 0 for one that is not, and
            100 times its mean the first score; frontiers are then compared image by image.
        takes_mixup: Whether `loss` takes targets that are mixed, as probabilities `(B, outputs)`.
        targets: What messages call the targets.
        activation: What makes of outputs what `net.predict` tells, see `OutputSpec`.
    """

    scores: ClassVar[tuple[str, ...]]
    dense: ClassVar[bool] = False
    counts_hits: ClassVar[bool] = False
    takes_mixup: ClassVar[bool] = False
    targets: ClassVar[str] = "targets"
    activation: ClassVar[Activation] = "none"

    @property
    def output(self) -> OutputSpec:
        """What outputs mean, for those who tell people and do not know tasks."""
        return OutputSpec(self.activation, self.dense)

    def checked(self, batch: Any, outputs: int) -> tuple[Tensor, Tensor]:
        """Return a batch of images `(B, C, H, W)` with their targets, as `loss` and `statistics` take them.

        Args:
            batch: What was given; whether a network takes the images is for others to say.
            outputs: Width of the network's outputs, such as the number of classes.

        Raises:
            DataError: If it is no pair of tensors, or the targets are not those of this task.
        """
        if not (isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(p, Tensor) for p in batch)):
            kind = type(batch).__name__
            if isinstance(batch, tuple | list):
                kind = f"a {kind} of {len(batch)} ({', '.join(type(p).__name__ for p in batch)})"
            raise DataError(f"A batch must be two tensors (images, {self.targets}), not {kind}.")
        images, targets = batch
        return images, self.check_targets(images, targets, outputs)

    def check_targets(self, images: Tensor, targets: Tensor, outputs: int) -> Tensor:  # noqa: ARG002
        """Return the targets of a batch, in the type that the other methods take.

        Args:
            images: `(B, C, H, W)`.
            targets: What the data gives for them; the first axis is that of the images.
            outputs: Width of the network's outputs.

        Raises:
            DataError: If they are not those of this task; the message gives what is accepted.
        """
        if images.ndim != 4 or len(images) != len(targets):
            raise DataError(
                f"A batch must be images (B, C, H, W) with {self.targets} (B, ...), not {tuple(images.shape)} with "
                f"{targets.dtype} {tuple(targets.shape)}."
            )
        return targets

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the scalar loss of a batch, differentiable in the outputs.

        Args:
            outputs: Of the network, in single precision or better.
            targets: As `check_targets` gives them.
        """

    def weight(self, targets: Tensor) -> float:
        """Return how much a batch counts beside others, of which `loss` is a mean together: its number of images.

        Args:
            targets: `(B, ...)` as the data gives them, not checked.
        """
        return len(targets)

    def smoothed_loss(self, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """Return the loss with label smoothing; tasks without classes know none.

        Args:
            outputs: As for `loss`.
            targets: As for `loss`.
            smoothing: From 0 to 1.

        Raises:
            TrainingError: If this task has no label smoothing, and it is above 0.
        """
        if smoothing:
            raise TrainingError(
                f"{type(self).__name__} has no label smoothing, and {smoothing} is asked for; set it to 0."
            )
        return self.loss(outputs, targets)

    def follow(self, outputs: Tensor, taught: Tensor, *, kind: str, temperature: float) -> Tensor:  # noqa: ARG002
        """Return the scalar loss of outputs against a teacher's, of the same shape; the mean square if not overridden.

        Args:
            outputs: Of the network.
            taught: Of the teacher, without gradients.
            kind: `hard` or `soft`, as `DistillationSettings` has it.
            temperature: Softens distributions.
        """
        return (outputs - taught).square().mean()

    def answers(self, outputs: Tensor) -> Tensor:
        """Return what of outputs is kept to compare others with them, in single precision or better; may be smaller."""
        return outputs.float()

    def divergence(self, reference: Tensor, found: Tensor) -> Tensor:
        """Return how far answers `found` are from `reference`, image by image: `(B,)`, 0 where they are equal.

        No labels are needed: a search goes by it. Half of the mean square difference if not overridden.
        """
        return (found - reference).flatten(1).square().mean(1) / 2

    def agreement(self, reference: Tensor, found: Tensor) -> Tensor:
        """Return the share, from 0 to 1, of each image in which two answers agree: `(B,)`, as people would say it.

        If not overridden, it is the share of the variance of `reference` over images that `found` explains.
        """
        spread = (reference - reference.mean(0)).flatten(1).square().mean() + 1e-12
        return (1 - (found - reference).flatten(1).square().mean(1) / spread).clamp(0, 1)

    def doubt(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return how unsure several outputs of the same images leave one, from 0 (not at all) to 1: `(B,)`.

        If not overridden, it is how little the others agree with the last.

        Args:
            outputs: Of several routes, the best last.
        """
        *others, best = map(self.answers, outputs)
        agreed = [self.agreement(best, other) for other in others]
        return 1 - torch.stack(agreed or [self.agreement(best, best)]).mean(0)

    def draws(self, answers: Tensor, count: int) -> Tensor:
        """Return `(count,)` sums over images whose gradients tell how much answers change (their Fisher information).

        To second order the divergence of an image is half of the mean square of the product of such a gradient and a
        change. Random numbers come from torch's global state.

        Args:
            answers: `(B, ...)`, differentiable.
            count: How many to draw.
        """
        flat = answers.flatten(1)
        noise = torch.randn(count, *flat.shape, dtype=flat.dtype, device=flat.device)
        drawn: Tensor = (noise * flat / flat.shape[1] ** 0.5).sum((1, 2))
        return drawn

    @abstractmethod
    def statistics(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return numbers of each image, `(B, K)`, whose sums over all images `score` is made of.

        An image whose outputs are not finite must not make the sums NaN; leave its loss out, and count it.

        Args:
            outputs: Of the network.
            targets: As `check_targets` gives them.
        """

    @abstractmethod
    def score(self, sums: Tensor, images: int) -> Mapping[str, float]:
        """Return the scores, by the names in `scores`; one that is not known may be missing.

        Args:
            sums: `(K,)` float64, `statistics` summed over all images, however they were divided.
            images: How many images these are.
        """

    def broken(self, sums: Tensor) -> int:  # noqa: ARG002
        """Return of how many images, or pixels if dense, outputs were not finite, from the sums; 0 if not counted."""
        return 0

    def tally(self, targets: Tensor, outputs: int) -> Tensor:  # noqa: ARG002
        """Return small integers `(n,)` whose sums tell one set of targets from another; of labels their counts.

        Args:
            targets: As `check_targets` gives them.
            outputs: Width of the network's outputs.
        """
        return self.digests(targets).remainder(2**31).sum(0, keepdim=True)

    def digests(self, targets: Tensor) -> Tensor:
        """Return a number `(B,)` int64 for the target of each image, which tells it from others."""
        flat = targets.detach().flatten(1) if targets.ndim > 1 else targets.detach()[:, None]
        bits = flat.float().contiguous().view(torch.int32).long()
        places = torch.arange(1, 2 * bits.shape[1], 2, device=bits.device)
        return (bits * places).sum(1)


_KINDS = ("classification", "multilabel", "segmentation", "depth", "embedding")
TASKS: Registry[type[Task]] = Registry(
    "task", group="snnet.tasks", modules=tuple(f"snnet.tasks.{kind}" for kind in _KINDS)
)
"""Task classes by name; `@TASKS.register("name")` files one."""


def build_task(name: str, **options: Any) -> Task:
    """Return a task by its name.

    Args:
        name: As in `TASKS`.
        options: Its settings.

    Raises:
        RecipeError: If there is no such task, or it does not take the settings.
    """
    kind = TASKS.get(name)
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"Task {name!r} does not take these settings: {error}") from None


def describe_task(task: Task) -> dict[str, Any]:
    """Return plain data of which `build_task` makes the task again: its name, and its settings if there are any.

    Raises:
        RecipeError: If its class is not filed in `TASKS`.
    """
    name = next((name for name in TASKS.names() if TASKS.get(name) is type(task)), None)
    if name is None:
        kind = type(task).__name__
        raise RecipeError(
            f"{kind} has no name, by which to find it again; file it: @snnet.TASKS.register('{kind.lower()}')."
        )
    return {"name": name, **(asdict(task) if is_dataclass(task) and not isinstance(task, type) else {})}
