"""A vector for each image, of which the direction counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, normalize

from snnet.errors import DataError, RecipeError
from snnet.tasks.task import TASKS, Task
from snnet.utils import counted


@TASKS.register("embedding")
@dataclass(frozen=True)
class Embedding(Task):
    """Embeddings `(B, D)`, compared with vectors `(B, D)` or, where classes have centers, with labels `(B,)`.

    With vectors the score is the mean cosine between embedding and vector. With centers it is the percent of images
    whose nearest center, by the cosine, is that of their label, and the cosine is that with this center. Centers are
    a setting, and not made of the images on which a score is measured, so that every stitch is held against the same
    ones and scores do not depend on how images divide: `centered` makes them of training images. An embedding that is
    not finite counts as one that points away.

    Attributes:
        centers: A vector for each class, `(classes, D)`; None where targets are vectors.
        temperature: By which cosines with centers are divided before the softmax of the loss.
    """

    scores: ClassVar[tuple[str, ...]] = ("cosine", "loss")
    centers: Sequence[Sequence[float]] | None = None
    temperature: float = 0.1

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise RecipeError(f"temperature is {self.temperature}; give a number above 0.")
        if self.centers is None:
            return
        rows = tuple(tuple(map(float, center)) for center in self.centers)  # lists, as JSON has them, are equal
        if len({len(row) for row in rows}) != 1 or not all(map(any, rows)):
            raise RecipeError("centers must be vectors of one length, one or more for each class and none of them 0.")
        for name, value in (("centers", rows), ("scores", ("neighbors", "cosine", "loss")), ("counts_hits", True)):
            object.__setattr__(self, name, value)

    def centered(self, pairs: Iterable[tuple[Tensor, Tensor]]) -> "Embedding":
        """Return this task with the centers of classes: means of the directions of embeddings.

        Args:
            pairs: Embeddings `(B, D)`, such as those of the largest anchor, with labels `(B,)`; of training images.

        Raises:
            DataError: If a class up to the largest label has no image.
        """
        sums: dict[int, Tensor] = {}
        for embeddings, labels in pairs:
            units = normalize(embeddings.detach().double().cpu(), dim=1)
            for label in set(labels.tolist()):
                sums[label] = sums.get(label, torch.zeros(())) + units[labels.cpu() == label].sum(0)
        if missing := sorted(set(range(max(sums, default=0) + 1)) - set(sums)):
            raise DataError(f"Class {missing[0]} has no image, and so no center; give images of every class.")
        units = normalize(torch.stack([sums[label] for label in sorted(sums)]), dim=1)
        return replace(self, centers=units.float().tolist())

    @cached_property
    def _units(self) -> Tensor:
        return normalize(torch.tensor(self.centers, dtype=torch.float64), dim=1)

    def check_targets(self, images: Tensor, targets: Tensor, outputs: int) -> Tensor:
        """Return vectors in single precision, or labels as `int64`; see `Task.check_targets`."""
        kind, shape = f"{targets.dtype} {tuple(targets.shape)}", tuple(images.shape)
        if self.centers is None:
            if images.ndim != 4 or targets.shape != (len(images), outputs) or not targets.is_floating_point():
                raise DataError(
                    f"A batch must be images (B, C, H, W) with vectors (B, {outputs}) of floating-point numbers, not "
                    f"{shape} with {kind}. For labels give the task the centers of classes: Embedding().centered(...)."
                )
            return targets.float()
        whole = not (targets.is_floating_point() or targets.is_complex())
        if images.ndim != 4 or targets.shape != (len(images),) or not whole:
            raise DataError(f"A batch must be images (B, C, H, W) with integer labels (B,), not {shape} with {kind}.")
        classes, width = self._units.shape
        if width != outputs:
            raise DataError(f"The centers have {width} numbers and the network's embeddings {outputs}; make them anew.")
        labels = targets.long()
        outside = labels[(labels < 0) | (labels >= classes)]
        if len(outside):
            raise DataError(
                f"Label {int(outside[0])} has no center; there are {counted(classes, 'center')}, from 0 on."
            )
        return labels

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return one minus the mean cosine with vectors, or the cross-entropy of the cosines with centers."""
        return self._losses(outputs, targets).mean()

    def _losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.centers is None:
            return 1 - cosine_similarity(outputs, targets.to(outputs.dtype), dim=1)
        return cross_entropy(self._cosines(outputs) / self.temperature, targets, reduction="none")

    def _cosines(self, outputs: Tensor) -> Tensor:
        """Return the cosines with all centers, `(B, classes)`."""
        return normalize(outputs, dim=1) @ self._units.to(outputs).T

    def follow(self, outputs: Tensor, taught: Tensor, *, kind: str, temperature: float) -> Tensor:  # noqa: ARG002
        """Return one minus the mean cosine with the teacher's embedding."""
        return (1 - cosine_similarity(outputs, taught, dim=1)).mean()

    def answers(self, outputs: Tensor) -> Tensor:
        """Return directions: vectors of length one, in single precision."""
        return normalize(outputs.float(), dim=1)

    def divergence(self, reference: Tensor, found: Tensor) -> Tensor:
        """Return one minus the cosine of each image, as half of the square of the distance."""
        return (found - reference).square().sum(1) / 2

    def agreement(self, reference: Tensor, found: Tensor) -> Tensor:
        """Return the cosine of each image, 0 at least."""
        return (reference * found).sum(1).clamp(0, 1).double()

    def draws(self, answers: Tensor, count: int) -> Tensor:
        """Return products with random vectors, summed over images."""
        drawn: Tensor = torch.einsum("nbd,bd->n", answers.new_empty(count, *answers.shape).normal_(), answers)
        return drawn

    def statistics(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return whether the nearest center is the label's, the cosine, the loss, and whether all is not finite."""
        outputs = outputs.double()
        sound = outputs.isfinite().all(1)
        outputs = torch.where(sound[:, None], outputs, 0.0)
        if self.centers is None:
            cosines, hits = cosine_similarity(outputs, targets.double(), dim=1), torch.zeros_like(sound)
        else:
            found = self._cosines(outputs)
            cosines, hits = found.gather(1, targets[:, None])[:, 0], sound & (found.argmax(1) == targets)
        losses = self._losses(outputs, targets)
        parts = [hits.double(), torch.where(sound, cosines, -1.0), losses, (~sound).double()]
        return torch.stack(parts, 1)

    def score(self, sums: Tensor, images: int) -> Mapping[str, float]:
        """Return the scores; the loss where it is finite for all images."""
        hits, cosine, loss, broken = sums.tolist()
        values = {} if self.centers is None else {"neighbors": 100 * hits / images}
        values["cosine"] = cosine / images
        return values if broken else {**values, "loss": loss / images}

    def broken(self, sums: Tensor) -> int:
        """Return how many embeddings were not finite."""
        return int(sums[-1])
