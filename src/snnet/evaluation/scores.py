"""Scores of stitches, summed over batches as their task says, and which images they got right."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from snnet.evaluation.batches import Batches, Fingerprint
from snnet.evaluation.record import Record
from snnet.table import HALVES, half_of
from snnet.tasks import Classification, Task

# An odd number near 2^64 divided by the golden ratio: it spreads checksums that differ in few bits.
_SPREAD = 0x9E3779B97F4A7C15 - 2**64


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
        self.scores = {stitch: Scores(batches.task) for stitch in stitches}
        self.seen = Fingerprint(batches.task, batches.outputs)
        self._batches = batches
        self._keys: list[Tensor] = []

    def see(self, images: Tensor, targets: Tensor) -> None:
        """Take note of a batch that all stitches run on next: images `(B, C, H, W)`, targets `(B, ...)`."""
        self._keys.append(self.seen.add(images, targets))

    def add(self, stitch: str, outputs: Tensor, targets: Tensor) -> None:
        """Take into account what a stitch gave for the batch that was seen last."""
        self.scores[stitch].add(outputs, targets, halves(self._keys[-1]))

    def file(self, record: Record) -> None:
        """Put scores and hits of all processes into a record, hits by the images in order of their checksums.

        Any order would do as long as it is the same for all stitches, whichever way the images come each time.
        """
        gathered, scores = self._batches.gathered, self.scores.values()
        order = torch.cat(gathered(_joined(self._keys, torch.int64))).argsort(stable=True)
        bits: Sequence[int | None] = [None] * len(self.scores)
        if self._batches.task.counts_hits:
            rows = torch.cat(gathered(torch.stack([_joined(score.hits, torch.bool) for score in scores])), 1)
            packed = np.packbits(rows[:, order].numpy(), axis=1, bitorder="little")
            bits = [int.from_bytes(row.tobytes(), "little") for row in packed]
        sums = zip(*gathered([score.sums for score in scores]), strict=True)
        for (stitch, score), parts, row in zip(self.scores.items(), sums, bits, strict=True):
            values, broken = score.result([part for part in parts if part is not None])
            record.add(stitch, values, broken, row)


def _joined(parts: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Return what batches gave, on the CPU; there may have been none for this process."""
    return torch.cat(list(parts)).cpu() if parts else torch.zeros(0, dtype=dtype)


def halves(checksums: Tensor) -> Tensor:
    """Return in which half of all images each is, 0 or 1, `(B,)`, from its checksum alone."""
    return (checksums * _SPREAD >> 40) & 1


class Scores:
    """Running sums for one stitch; of tasks that count no hits for two fixed halves of the images.

    Args:
        task: What the scores are.

    Attributes:
        hits: Which images were right, batch by batch, where the task counts them.
    """

    def __init__(self, task: Task | None = None) -> None:
        self.task = task or Classification()
        self.hits: list[Tensor] = []
        self._sums: Tensor | None = None

    def add(self, outputs: Tensor, targets: Tensor, half: Tensor | None = None) -> None:
        """Take a batch into account.

        Args:
            outputs: `(B, outputs, ...)`.
            targets: `(B, ...)`.
            half: `(B,)` from `halves`; all are in the first if None.
        """
        found = self.task.statistics(outputs, targets).double()
        parts = [found]
        if self.task.counts_hits:
            self.hits.append(right_ones(found))
        else:
            where = torch.zeros(len(found), device=found.device) if half is None else half
            parts = [found[where == number] for number in range(HALVES)]
        # Images and sums of each part; a column at a time, which sums as over a vector of its own.
        rows = [torch.cat([part.new_tensor([len(part)]), part.T.contiguous().sum(1)]) for part in parts]
        sums = torch.stack(rows)
        self._sums = sums if self._sums is None else self._sums + sums

    @property
    def sums(self) -> Tensor | None:
        """What this process has summed, `(parts, 1 + K)`: images, and what the task scores; None before any batch."""
        return None if self._sums is None else self._sums.cpu()

    def result(self, sums: Sequence[Tensor] | None = None) -> tuple[dict[str, float], int]:
        """Return the scores, and the number of images without a finite loss.

        Args:
            sums: `sums` of several processes; this one's own if None.
        """
        parts = [self._sums.cpu()] if sums is None and self._sums is not None else list(sums or ())
        assert parts, "no batch was added"
        each = torch.stack(parts).sum(0)
        whole = each.sum(0)
        values = dict(self.task.score(whole[1:], int(whole[0])))
        first = self.task.scores[0]
        for number, part in enumerate(each if len(each) > 1 else ()):
            known = self.task.score(part[1:], int(part[0])) if part[0] else {}
            values |= {half_of(first, number): known[first]} if first in known else {}
        return values, self.task.broken(whole[1:])


def right_ones(statistics: Tensor) -> Tensor:
    """Return which images `(B,)` are right, from the statistics of a task that counts hits."""
    return statistics[:, 0] > 0
