"""Top-1, top-5 and loss of stitches, summed over batches, and which images they got right."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from snnet.evaluation.batches import Batches, Fingerprint
from snnet.evaluation.record import Record


class ScoreSheet:
    """What several stitches score in one pass over the same images.

    Args:
        stitches: Ids of the stitches.
        batches: The images; their order is of no account.

    Attributes:
        scores: Id of a stitch -> its sums.
        seen: Fingerprint of the images so far, in this process.
    """

    def __init__(self, stitches: Iterable[str], batches: Batches) -> None:
        self.scores = {stitch: Scores() for stitch in stitches}
        self.seen = Fingerprint([0] * batches.classes)
        self._batches = batches
        self._keys: list[Tensor] = []

    def see(self, images: Tensor, labels: Tensor) -> None:
        """Take note of a batch that all stitches run on next: images `(B, C, H, W)`, labels `(B,)`."""
        self._keys.append(self.seen.add(images, labels))

    def file(self, record: Record) -> None:
        """Put scores and hits of all processes into a record, hits by the images in order of their checksums.

        Any order would do as long as it is the same for all stitches, whichever way the images come each time.
        """
        gathered, scores = self._batches.gathered, self.scores.values()
        order = torch.cat(gathered(_joined(self._keys, torch.int64))).argsort(stable=True)
        rows = torch.cat(gathered(torch.stack([_joined(score.hits, torch.bool) for score in scores])), 1)
        bits = np.packbits(rows[:, order].numpy(), axis=1, bitorder="little")
        sums = zip(*gathered([score.sums for score in scores]), strict=True)
        for (stitch, score), parts, row in zip(self.scores.items(), sums, bits, strict=True):
            values, broken = score.result([sum(part) for part in zip(*parts, strict=True)])
            record.add(stitch, values, broken, int.from_bytes(row.tobytes(), "little"))


def _joined(parts: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Return what batches gave, on the CPU; there may have been none for this process."""
    return torch.cat(list(parts)).cpu() if parts else torch.zeros(0, dtype=dtype)


class Scores:
    """Running sums for one stitch.

    An image whose loss is not finite (logits with NaN, for instance) counts as wrong.

    Attributes:
        images: Number of images.
        hits: Which of them were right, batch by batch.
    """

    def __init__(self) -> None:
        self.images = 0
        self.hits: list[Tensor] = []
        self._sums: Tensor | None = None

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take logits `(B, classes)` and labels `(B,)` into account; top-5 is top-`min(5, classes)`."""
        logits = logits.float()
        losses = cross_entropy(logits, labels, reduction="none")
        hits, sound = _hits(logits, labels, losses)
        self.hits.append(hits[:, 0])
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
