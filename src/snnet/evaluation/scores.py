"""Top-1, top-5 and loss, summed over batches without leaving the device."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


class Scores:
    """Running sums for one stitch.

    An image whose loss is not finite (logits with NaN, for instance) counts as wrong.
    """

    def __init__(self) -> None:
        self.images = 0
        self._sums: Tensor | None = None

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take logits `(B, classes)` and labels `(B,)` into account; top-5 is top-`min(5, classes)`."""
        logits = logits.float()
        losses = cross_entropy(logits, labels, reduction="none")
        hits, sound = _hits(logits, labels, losses)
        sums = torch.stack([hits[:, 0].sum(), hits.sum(), losses.double().sum(), (~sound).sum()])
        self._sums = sums if self._sums is None else self._sums + sums
        self.images += len(labels)

    @property
    def sums(self) -> list[float]:
        """What this process has summed: images, and what `result` is made of."""
        return [float(self.images), *([0.0] * 4 if self._sums is None else self._sums.tolist())]

    def result(self, sums: Sequence[float] | None = None) -> tuple[dict[str, float], int]:
        """Return top-1 and top-5 (percent) and mean loss (nats), and the number of images without a finite loss.

        Where there are such images the loss is left out.

        Args:
            sums: `sums` added over several processes; this one's own if None.
        """
        images, top1, top5, loss, broken = self.sums if sums is None else sums
        assert images, "no batch was added"
        values = {"top1": 100 * top1 / images, "top5": 100 * top5 / images}
        return (values, int(broken)) if broken else ({**values, "loss": loss / images}, 0)


def top1_hits(logits: Tensor, labels: Tensor) -> Tensor:
    """Return which images `(B,)` count as right, exactly as `Scores` counts them."""
    logits = logits.float()
    return _hits(logits, labels, cross_entropy(logits, labels, reduction="none"))[0][:, 0]


def _hits(logits: Tensor, labels: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
    """Return hits by rank `(B, 5)`, and which images `(B,)` have a finite loss."""
    sound = losses.isfinite()
    # topk ranks NaN highest, so a broken row could hit by chance.
    ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices
    return (ranked == labels[:, None]) & sound[:, None], sound
