"""Any number of labels for each image."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from snnet.errors import DataError
from snnet.space import Activation
from snnet.tasks.task import TASKS, Task


@TASKS.register("multilabel")
class MultiLabel(Task):
    """F1, exact matches (percent) and mean cross-entropy (nats) of logits `(B, labels)`, with 0 or 1 `(B, labels)`.

    A label is guessed where its probability is above one half. F1 is that of each label over all images, and its mean
    over labels; of a label that is neither there nor guessed anywhere it is 0. An image whose loss is not finite
    counts as wrong in every label.
    """

    scores: ClassVar[tuple[str, ...]] = ("f1", "exact_match", "loss")
    targets: ClassVar[str] = "labels"
    activation: ClassVar[Activation] = "sigmoid"

    def check_targets(self, images: Tensor, targets: Tensor, outputs: int) -> Tensor:
        """Return the labels in single precision; see `Task.check_targets`."""
        fits = images.ndim == 4 and targets.shape == (len(images), outputs) and not targets.is_complex()
        if not fits or not ((targets == 0) | (targets == 1)).all():
            raise DataError(
                f"A batch must be images (B, C, H, W) with labels (B, {outputs}) of 0 and 1, one for each output, "
                f"not {tuple(images.shape)} with {targets.dtype} {tuple(targets.shape)}"
                f"{' of other numbers' if fits else ''}."
            )
        return targets.float()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy of each label, the mean over labels and images."""
        return binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype))

    def smoothed_loss(self, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """Return the loss with label smoothing: half of it goes to the other answer."""
        return self.loss(outputs, targets * (1 - smoothing) + smoothing / 2)

    def follow(self, outputs: Tensor, taught: Tensor, *, kind: str, temperature: float) -> Tensor:
        """Return the loss with the teacher's guesses, or the mean divergence from its softened probabilities."""
        if kind == "hard":
            return self.loss(outputs, taught > 0)
        student, target = (self.answers(given / temperature) for given in (outputs, taught))
        return self.divergence(target, student).mean() / outputs.shape[1] * temperature**2

    def answers(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities of yes and no, `(B, 2, labels)`, in single precision or better."""
        wide = outputs if outputs.dtype == torch.float64 else outputs.float()
        return torch.stack([logsigmoid(wide), logsigmoid(-wide)], 1)

    def divergence(self, reference: Tensor, found: Tensor) -> Tensor:
        """Return the Kullback-Leibler divergence of each image, in nats, summed over labels."""
        return (reference.exp() * (reference - found)).sum((1, 2))

    def agreement(self, reference: Tensor, found: Tensor) -> Tensor:
        """Return the share of the labels with the same guess."""
        return ((found[:, 0] > found[:, 1]) == (reference[:, 0] > reference[:, 1])).double().mean(1)

    def draws(self, answers: Tensor, count: int) -> Tensor:
        """Return log-probabilities of answers that are drawn from the answers themselves, summed over images."""
        flat = answers.movedim(1, -1).flatten(0, 1)
        drawn = torch.multinomial(flat.detach().exp(), count, replacement=True)
        return flat.gather(1, drawn).sum(0)

    def statistics(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return labels found, guessed and true, then whether all are right, the loss, and whether it is not finite."""
        outputs, truth = outputs.float(), targets > 0
        losses = binary_cross_entropy_with_logits(outputs, targets.float(), reduction="none").double().mean(1)
        sound = losses.isfinite()
        guess = torch.where(sound[:, None], outputs > 0, ~truth)
        whole = torch.stack([(guess == truth).all(1).double(), torch.where(sound, losses, 0.0), (~sound).double()], 1)
        return torch.cat([(guess & truth).double(), guess.double(), truth.double(), whole], 1)

    def score(self, sums: Tensor, images: int) -> Mapping[str, float]:
        """Return F1, exact matches and, where it is finite for all images, the loss."""
        *counts, exact, loss, broken = sums.tolist()
        labels = len(counts) // 3
        both, guessed, true = (counts[part * labels : (part + 1) * labels] for part in range(3))
        of_labels = [2 * b / (g + t) if g + t else 0.0 for b, g, t in zip(both, guessed, true, strict=True)]
        values = {"f1": 100 * sum(of_labels) / labels, "exact_match": 100 * exact / images}
        return values if broken else {**values, "loss": loss / images}

    def broken(self, sums: Tensor) -> int:
        """Return of how many images the loss was not finite."""
        return int(sums[-1])
