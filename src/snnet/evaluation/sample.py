"""Scores of many stitches from few images, chosen by how hard the anchors find them.

A stitch differs from its anchors on images about which they are unsure, and almost nowhere else. Each image is taken
with a probability that rises with the square of the anchors' doubt, and what a stitch gains or loses there against
the anchors counts by the inverse of that probability: the difference estimator of survey sampling (Saerndal,
Swensson and Wretman, Model Assisted Survey Sampling, section 6.3), which is right on average for any stitch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snnet.evaluation.batches import Batches
from snnet.evaluation.gaussian import Array
from snnet.evaluation.scores import ScoreSheet, right_ones
from snnet.network import SNNet, Tree, run_tree
from snnet.tasks import Task

_LEAST = 0.02  # probability of an image about which all anchors are sure
_POWER = 2.0


@dataclass(frozen=True)
class ImageSample:
    """What some of the images say of the stitches.

    Attributes:
        stitches: Ids of the stitches that are not anchors.
        score: The percent of all images that each gets right, estimated; `(n,)`.
        noise: Variance of an estimate, in squared percent.
        common: Covariance of two estimates, for all stitches see the same images.
        share: The part of the images that was used.
    """

    stitches: tuple[str, ...]
    score: Array
    noise: float
    common: float
    share: float

    @property
    def covariance(self) -> Array:
        """Covariance of the estimates, `(n, n)`.

        It is the same for all stitches: were each given its own, estimates that are low by chance would look
        precise by the same chance, and pull the others down.
        """
        count = len(self.stitches)
        return np.full((count, count), self.common) + (self.noise - self.common) * np.eye(count)


def inclusion_probabilities(doubt: Tensor, share: float) -> Tensor:
    """Return how likely each image is to be taken, `share` on average.

    Args:
        doubt: `(B,)` from 0 (the anchors are sure and agree) to 1.
        share: From 0 to 1.
    """
    weight = doubt.double().clamp(1e-3, 1.0) ** _POWER
    low, high = 1e-9, 1e9
    for _ in range(60):  # halvings
        middle = (low * high) ** 0.5
        expected = float((middle * weight).clamp(_LEAST, 1.0).mean())
        low, high = (middle, high) if expected < share else (low, middle)
    return (high * weight).clamp(min(_LEAST, share), 1.0)


def draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Return the numbers of the images taken, each with its probability and their count nearly fixed."""
    order = torch.randperm(len(probabilities), generator=generator)
    start = torch.rand((), generator=generator, dtype=torch.float64)
    steps = torch.cat([start[None], start + probabilities.cpu()[order].cumsum(0)]).floor()
    return order[steps.diff() > 0].sort().values


class SampleSums:
    """Running sums of the estimates.

    Args:
        stitches: Ids of the stitches that are not anchors.
    """

    def __init__(self, stitches: Sequence[str]) -> None:
        self.stitches = tuple(stitches)
        self._images, self._taken, self._base = 0, 0, 0.0
        self._sums = np.zeros(len(stitches))
        self._squares = np.zeros((len(stitches),) * 2)

    def add(self, base: Tensor, chosen: Tensor, probabilities: Tensor, hits: Tensor) -> None:
        """Take one batch into account.

        Args:
            base: `(B,)` the part of the anchors that are right, for all images.
            chosen: `(b,)` numbers of the images taken.
            probabilities: `(B,)`.
            hits: `(n, b)` whether each stitch is right on each of them.
        """
        self._images += len(base)
        self._taken += len(chosen)
        self._base += float(base.sum())
        likely = probabilities[chosen].double().cpu().numpy()
        gains = (hits.double() - base[chosen].to(hits.device).double()).cpu().numpy() / likely
        self._sums += gains.sum(1)
        self._squares += (gains * (1 - likely)) @ gains.T

    def result(self) -> ImageSample:
        """Return the estimates with their pooled covariance."""
        score = 100 * (self._base + self._sums) / self._images
        covariance = self._squares * (100 / self._images) ** 2
        count = len(self.stitches)
        noise = float(np.trace(covariance)) / count
        pairs = max(count * (count - 1), 1)
        common = (float(covariance.sum()) - count * noise) / pairs
        return ImageSample(self.stitches, score, noise, min(max(common, 0.0), noise), self._taken / self._images)


def see_sample(
    net: SNNet,
    batches: Batches,
    share: float,
    *,
    on_batch: Callable[[int], None] = lambda _: None,
) -> tuple[ImageSample, ScoreSheet]:
    """Run the anchors on all images and the other stitches of the space on some, in one pass.

    Args:
        net: In evaluation mode.
        batches: All images.
        share: The part of the images that the stitches see which are no anchors.
        on_batch: Called with the number of batches done.

    Returns:
        What the others did on the images taken, and what the anchors did on all.
    """
    guides, others = Tree(), Tree()
    for route in net.space:
        (guides if route.is_anchor else others).add(route, net.steps(route))
    sheet, sums = ScoreSheet(guides.stitches, batches), SampleSums(others.stitches)
    generator = torch.Generator().manual_seed(0)
    for number, (images, targets) in enumerate(batches, 1):
        images, targets = images.to(net.device, non_blocking=True), targets.to(net.device)
        sheet.see(images, targets)
        with torch.inference_mode():
            outputs = dict(run_tree(net, guides, images))
            for stitch, given in outputs.items():
                sheet.add(stitch, given, targets)
            base, doubt = _guide(batches.task, list(outputs.values()), targets)
            likely = inclusion_probabilities(doubt, share).cpu()
            chosen = draw(likely, generator)
            few = chosen.to(net.device)
            runs = run_tree(net, others, images[few]) if len(few) else ()
            hits = {stitch: _right(batches.task, given, targets[few]).cpu() for stitch, given in runs}
        rows = [hits[stitch] if hits else torch.zeros(0) for stitch in others.stitches]
        sums.add(base.cpu(), chosen, likely, torch.stack(rows))
        on_batch(number)
    return sums.result(), sheet


def _guide(task: Task, outputs: Sequence[Tensor], targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the part of the anchors that are right on each image, and their doubt."""
    right = torch.stack([_right(task, given, targets).double() for given in outputs])
    # An anchor that gives NaN knows nothing.
    return right.mean(0), task.doubt(outputs).nan_to_num(nan=1.0)


def _right(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    return right_ones(task.statistics(outputs, targets))
