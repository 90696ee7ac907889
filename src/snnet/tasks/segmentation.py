"""A class for each pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy

from snnet.errors import DataError, RecipeError
from snnet.space import Activation
from snnet.tasks.task import TASKS, Task
from snnet.utils import counted

_GRID = 16
"""Positions along an axis at which answers are compared; more cost memory and tell little."""


@TASKS.register("segmentation")
@dataclass(frozen=True)
class Segmentation(Task):
    """mIoU, pixel accuracy (percent) and mean cross-entropy (nats) of `(B, classes, H, W)`, with classes `(B, H, W)`.

    The intersection over union of a class is taken over all pixels of all images, and its mean over the classes that
    occur in predictions or truth. Pixels whose outputs are not finite count as wrong.

    Attributes:
        ignore: Label of pixels that count nowhere.
        class_weights: Weight of each class in the loss; all 1 if None.
    """

    scores: ClassVar[tuple[str, ...]] = ("miou", "pixel_accuracy", "loss")
    dense: ClassVar[bool] = True
    targets: ClassVar[str] = "masks"
    activation: ClassVar[Activation] = "softmax"
    ignore: int = 255
    class_weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        weights = self.class_weights
        if weights is not None:
            object.__setattr__(self, "class_weights", tuple(map(float, weights)))  # lists, as JSON has them, are equal
            if not weights or min(weights) < 0 or max(weights) <= 0:
                raise RecipeError(f"class_weights {list(weights)} are none: give a number of 0 or more for each class.")

    def check_targets(self, images: Tensor, targets: Tensor, outputs: int) -> Tensor:
        """Return the masks as `int64`; see `Task.check_targets`."""
        whole = not (targets.is_floating_point() or targets.is_complex())
        if images.ndim != 4 or targets.shape != (len(images), *images.shape[2:]) or not whole:
            raise DataError(
                "A batch must be images (B, C, H, W) with masks (B, H, W) of whole numbers and of their size, "
                f"not {tuple(images.shape)} with {targets.dtype} {tuple(targets.shape)}."
            )
        masks = targets.long()
        outside = masks[((masks < 0) | (masks >= outputs)) & (masks != self.ignore)]
        if len(outside):
            raise DataError(
                f"Label {int(outside[0])} in a mask does not fit a network of {counted(outputs, 'class')} (0 to "
                f"{outputs - 1}, and {self.ignore} for pixels to ignore); use masks of the network's classes, or set "
                "ignore to the label of pixels that do not count."
            )
        if self.class_weights is not None and len(self.class_weights) != outputs:
            raise DataError(
                f"There are {counted(len(self.class_weights), 'class weight')} for {counted(outputs, 'class')}; give "
                "one for each."
            )
        return masks

    def weight(self, targets: Tensor) -> float:
        """Return the number of pixels that are not ignored, or the sum of their weights."""
        if self.class_weights is None:
            return int((targets != self.ignore).sum())
        weights = enumerate(self.class_weights)
        return sum(weight * int((targets == label).sum()) for label, weight in weights if label != self.ignore)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy over pixels that are not ignored."""
        return self.smoothed_loss(outputs, targets, 0.0)

    def smoothed_loss(self, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """Return the loss with label smoothing."""
        weights = None if self.class_weights is None else outputs.new_tensor(self.class_weights)
        how = {"weight": weights, "ignore_index": self.ignore, "label_smoothing": smoothing}
        total = cross_entropy(outputs, targets, reduction="sum", **how)  # type: ignore[arg-type]
        known = targets != self.ignore
        count = known.sum() if weights is None else weights[targets[known]].sum()
        # Where all is ignored the mean would be NaN, and there is nothing to learn.
        return total / count.clamp_min(1e-12)

    def follow(self, outputs: Tensor, taught: Tensor, *, kind: str, temperature: float) -> Tensor:
        """Return the cross-entropy with the teacher's classes, or the divergence from its softened distributions."""
        if kind == "hard":
            return cross_entropy(outputs, taught.argmax(dim=1))
        student, target = ((given / temperature).log_softmax(1) for given in (outputs, taught))
        return (target.exp() * (target - student)).sum(1).mean() * temperature**2

    def answers(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities of means over squares of pixels, on a grid of 16 by 16 at most."""
        height, width = outputs.shape[2:]
        return adaptive_avg_pool2d(outputs.float(), (min(height, _GRID), min(width, _GRID))).log_softmax(1)

    def divergence(self, reference: Tensor, found: Tensor) -> Tensor:
        """Return the Kullback-Leibler divergence of each image, in nats, the mean over the grid."""
        return (reference.exp() * (reference - found)).sum(1).mean((1, 2))

    def agreement(self, reference: Tensor, found: Tensor) -> Tensor:
        """Return the share of the grid with the same first guess."""
        return (found.argmax(1) == reference.argmax(1)).double().mean((1, 2))

    def draws(self, answers: Tensor, count: int) -> Tensor:
        """Return log-probabilities of classes drawn from the answers themselves, summed over images and grid."""
        flat = answers.movedim(1, -1).flatten(0, 2)
        classes = torch.multinomial(flat.detach().exp(), count, replacement=True)
        positions = answers[0, 0].numel()
        drawn: Tensor = flat.gather(1, classes).sum(0) / positions**0.5
        return drawn

    def statistics(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return intersection, prediction and truth by class, and loss, pixels right, known and not finite."""
        outputs = outputs.float()
        classes = outputs.shape[1]
        losses = cross_entropy(outputs, targets, reduction="none", ignore_index=self.ignore)
        known, sound = targets != self.ignore, losses.isfinite()
        guess, right = outputs.argmax(1), outputs.argmax(1) == targets
        counts = []
        for chosen, where in ((guess, known & right & sound), (guess, known & sound), (targets, known)):
            counts.append(_by_class(chosen, where, classes))
        sums = [
            torch.where(known & sound, losses.double(), 0.0),
            (known & right & sound).double(),
            known.double(),
            (known & ~sound).double(),
        ]
        return torch.cat([*counts, torch.stack([part.flatten(1).sum(1) for part in sums], 1)], 1)

    def score(self, sums: Tensor, images: int) -> Mapping[str, float]:  # noqa: ARG002
        """Return mIoU, pixel accuracy and, where it is finite for all pixels, the loss."""
        *counts, loss, right, known, broken = sums.tolist()
        classes = len(counts) // 3
        both, guessed, true = (counts[part * classes : (part + 1) * classes] for part in range(3))
        unions = [one + other - shared for shared, one, other in zip(both, guessed, true, strict=True)]
        found = [shared / union for shared, union in zip(both, unions, strict=True) if union]
        if not found or not known:
            return {}
        values = {"miou": 100 * sum(found) / len(found), "pixel_accuracy": 100 * right / known}
        return values if broken else {**values, "loss": loss / known}

    def broken(self, sums: Tensor) -> int:
        """Return of how many pixels the outputs were not finite."""
        return int(sums[-1])


def _by_class(classes: Tensor, where: Tensor, count: int) -> Tensor:
    """Return how many pixels `where` there are of each class, by image: `(B, count)`."""
    numbers = torch.where(where, classes, count)
    places = numbers.flatten(1) + (count + 1) * torch.arange(len(classes), device=classes.device)[:, None]
    counts = torch.bincount(places.flatten(), minlength=len(classes) * (count + 1))
    return counts.view(len(classes), count + 1)[:, :count].double()
