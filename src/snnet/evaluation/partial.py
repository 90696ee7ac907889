"""Measuring as few stitches as needed: the anchors, then the most telling, until the rest is known well enough."""

import math
from functools import partial
from pathlib import Path

import torch

from snnet.errors import DataError, TableError
from snnet.evaluation.batches import Batches, Data
from snnet.evaluation.evaluation import evaluate
from snnet.evaluation.prediction import PredictedScores, predict_scores
from snnet.evaluation.record import Conditions, Record
from snnet.evaluation.sample import ImageSample, see_sample
from snnet.network import SNNet
from snnet.table import COST, StitchTable, measured
from snnet.utils import Precision, Show, counted, shows_progress

# Each round is one more pass over the data, so a round takes a twentieth of the stitches.
_ROUNDS = 20


@shows_progress("Evaluating")
def evaluate_some(
    net: SNNet,
    data: Data,
    *,
    error: float = 0.3,
    at_most: float = 0.25,
    sample: float = 0.2,
    device: str | torch.device | None = None,
    batch_size: int = 128,
    output: str | Path | None = None,
    precision: Precision | None = None,
    progress: Show = None,
) -> PredictedScores:
    """Measure the anchors and a few stitches, predict the rest, and set all of it in `net.table`.

    The anchors are evaluated on all images. In the same pass the others see some of the images, those that the
    anchors find hard before others (`sample.py`). From both, each stitch is predicted with an error bar. As long as
    the expected error is above `error`, the stitches that would tell most are evaluated on all images, up to
    `at_most`. Measured scores are resumable as those of `evaluate`; predicted ones are never taken for measured.

    Args:
        net: The network, with its MACs in `net.table` (`snnet.profile`).
        data: As for `evaluate`.
        error: Mean absolute error, in points of the score, at which to stop.
        at_most: Stitches that may be measured on all images, anchors included: a number, or a part if it is 1 or
            less. The anchors are measured in any case.
        sample: Part of the images that stitches see before; 0 predicts from the curve alone. Tasks in which images are
            not right or wrong need 0.
        device: Where to run; by default where the network is.
        batch_size: For a `Dataset` or two tensors.
        output: File of the table, JSON Lines.
        precision: As for `evaluate`.
        progress: Called with what is done, what there is in all, and a note; None shows a bar where someone watches,
            False nothing.

    Raises:
        DataError: If a number is out of range, the data is not as `evaluate` needs it, or images are to be sampled for
            a task in which they are not right or wrong.
        TableError: If `net.table` lacks MACs, or `output` holds scores of another network, data or precision.
    """
    _check(net, error=error, at_most=at_most, sample=sample)
    limit = math.floor(at_most * len(net.space) if at_most <= 1 else at_most)
    batches = Batches(data, net.num_classes, batch_size, task=net.task)
    path = None if output is None else Path(output)

    measure = partial(
        evaluate, net, data, device=device, batch_size=batch_size, output=path, precision=precision, progress=progress
    )
    # Now, and not after minutes.
    if lacking := len(net.space) - sum(measured(row, COST) for row in _in_space(net)):
        of = counted(len(net.space), "stitch")
        raise TableError(f"{lacking:,} of {of} have no MACs; `snnet.profile(net)` counts them.")
    seen = None
    if sample > 0 and len(net.space) > len(net.anchors):
        seen = _sample(Conditions.of(net, precision, device), batches, sample, path, progress)
    else:
        measure(stitches="anchors")
    while True:
        found = predict_scores(_in_space(net), sample=seen, count=math.ceil(len(net.space) / _ROUNDS))
        if found.error <= error or found.measured >= limit:
            break
        measure(stitches=found.next[: limit - found.measured])
    net.table = found.table
    if path is not None:
        net.table.save(path)
    return found


def _check(net: SNNet, **numbers: float) -> None:
    for name, value in numbers.items():
        if not value >= 0:
            raise DataError(f"{name}={value} is too small; give at least 0.")
    if (sample := numbers["sample"]) > 1:
        raise DataError(f"sample={sample} is no part of the images; give a number from 0 to 1.")
    if sample and not net.task.counts_hits:
        raise DataError(
            f"A sample tells which images are right, and {type(net.task).__name__} counts none; predict from the curve "
            "alone (sample=0, --sample 0), or evaluate all stitches."
        )


def _sample(conditions: Conditions, batches: Batches, share: float, path: Path | None, progress: Show) -> ImageSample:
    """Measure the anchors, and the others on some of the images; file the anchors' scores."""
    net = conditions.net
    record = Record(net, conditions.facts(), path)

    tell, count = (progress, batches.count()) if progress else (lambda *_: None, 0)
    note = f"anchors on all images, the others on {100 * share:.0f}%"
    with conditions.running():
        sample, sheet = see_sample(net, batches, share, on_batch=lambda done: tell(done, count, note))
    record.check_data(sheet.seen.to_dict())
    sheet.file(record)
    record.save(net.table)
    net.table = record.table(net.table)
    return sample


def _in_space(net: SNNet) -> StitchTable:
    table, own = net.table or StitchTable([]), {stitch.id for stitch in net.space}
    return table.where(lambda row: row.stitch in own)
