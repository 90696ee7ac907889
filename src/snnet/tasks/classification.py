"""One class for each image."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from snnet.errors import DataError
from snnet.space import Activation
from snnet.tasks.task import TASKS, Task
from snnet.utils import counted


@TASKS.register("classification")
class Classification(Task):
    """Top-1, top-5 (percent) and mean cross-entropy (nats) of logits `(B, classes)`, with labels `(B,)`.

    An image whose loss is not finite (logits with NaN, for instance) counts as wrong. With fewer than five classes,
    top-5 is over all of them.
    """

    scores: ClassVar[tuple[str, ...]] = ("top1", "top5", "loss")
    counts_hits: ClassVar[bool] = True
    takes_mixup: ClassVar[bool] = True
    targets: ClassVar[str] = "labels"
    activation: ClassVar[Activation] = "softmax"

    def check_targets(self, images: Tensor, targets: Tensor, outputs: int) -> Tensor:
        """Return the labels as `int64`; see `Task.check_targets`."""
        whole = not (targets.is_floating_point() or targets.is_complex())
        if images.ndim != 4 or targets.ndim != 1 or len(images) != len(targets) or not whole:
            raise DataError(
                "A batch must be images (B, C, H, W) with integer labels (B,), "
                f"not {tuple(images.shape)} with {targets.dtype} {tuple(targets.shape)}."
            )
        labels = targets.long()
        outside = labels[(labels < 0) | (labels >= outputs)]
        if len(outside):
            raise DataError(
                f"Label {int(outside[0])} does not fit a network of {counted(outputs, 'class')} (0 to {outputs - 1}); "
                "use data with the network's classes, or stitch anchors with num_classes set to the data's."
            )
        return labels

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy with labels `(B,)`, or with probabilities `(B, classes)`."""
        return cross_entropy(outputs, targets)

    def smoothed_loss(self, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """Return the loss with label smoothing; probabilities, as mixup makes them, are taken as they are."""
        return cross_entropy(outputs, targets, label_smoothing=0.0 if targets.is_floating_point() else smoothing)

    def follow(self, outputs: Tensor, taught: Tensor, *, kind: str, temperature: float) -> Tensor:
        """Return the cross-entropy with the teacher's first guess, or the divergence from its softened distribution."""
        if kind == "hard":
            return cross_entropy(outputs, taught.argmax(dim=1))
        student = log_softmax(outputs / temperature, dim=1)
        target = log_softmax(taught / temperature, dim=1)
        return kl_div(student, target, reduction="batchmean", log_target=True) * temperature**2

    def answers(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities in single precision or better."""
        return outputs.float().log_softmax(1)

    def divergence(self, reference: Tensor, found: Tensor) -> Tensor:
        """Return the Kullback-Leibler divergence of each image, in nats."""
        return (reference.exp() * (reference - found)).sum(1)

    def agreement(self, reference: Tensor, found: Tensor) -> Tensor:
        """Return which images have the same first guess."""
        return (found.argmax(1) == reference.argmax(1)).double()

    def doubt(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return one minus the margin of the mean probabilities."""
        total = sum((given.float().softmax(1) for given in outputs), torch.zeros((), device=outputs[0].device))
        best = (total / len(outputs)).topk(2, dim=1).values
        return 1 - best[:, 0] + best[:, 1]

    def draws(self, answers: Tensor, count: int) -> Tensor:
        """Return log-probabilities of classes that are drawn from the answers themselves, summed over images."""
        classes = torch.multinomial(answers.detach().exp(), count, replacement=True)
        return answers.gather(1, classes).sum(0)

    def statistics(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return hits of the first guess and of five, the loss, and whether it is not finite: `(B, 4)`."""
        outputs = outputs.float()
        losses = cross_entropy(outputs, targets, reduction="none")
        sound = losses.isfinite()
        # topk ranks NaN highest, so a broken row could hit by chance.
        ranked = outputs.topk(min(5, outputs.shape[1]), dim=1).indices
        hits = (ranked == targets[:, None]) & sound[:, None]
        return torch.stack([hits[:, 0].double(), hits.sum(1).double(), losses.double(), (~sound).double()], 1)

    def score(self, sums: Tensor, images: int) -> Mapping[str, float]:
        """Return top-1, top-5 and, where it is finite for all images, the loss."""
        top1, top5, loss, broken = sums.tolist()
        values = {"top1": 100 * top1 / images, "top5": 100 * top5 / images}
        return values if broken else {**values, "loss": loss / images}

    def broken(self, sums: Tensor) -> int:
        """Return of how many images the loss was not finite."""
        return int(sums[3])

    def tally(self, targets: Tensor, outputs: int) -> Tensor:
        """Return how many images there are of each class."""
        return torch.bincount(targets, minlength=outputs)

    def digests(self, targets: Tensor) -> Tensor:
        """Return the labels."""
        return targets
