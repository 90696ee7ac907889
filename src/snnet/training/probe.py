"""Scores of a few stitches now and then while all are trained."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snnet.errors import RecipeError
from snnet.evaluation import Scores
from snnet.init import has_batch_norm, recalibrate
from snnet.network import SNNet, Tree, run_tree
from snnet.space import Stitch
from snnet.training.stream import Batch
from snnet.utils import evaluating


@dataclass(frozen=True)
class Probe:
    """What is measured during training, and when; training goes on as if nothing had been.

    Attributes:
        batches: Labelled images, read anew each time.
        stitches: The stitches.
        every: Steps between two measurements.
        calibration: Clean images `(N, C, H, W)` on which running statistics of batch norms are measured before;
            without them, stitches use those of their anchors.
        anchors: Which anchors are measured too, as `recalibrate` takes it.
        told: Told the step and the score of each stitch, whenever they were measured.
    """

    batches: Iterable[Batch]
    stitches: Sequence[Stitch]
    every: int
    calibration: Tensor | None = field(default=None, repr=False)
    anchors: bool | Collection[int] = True
    told: Callable[[int, Mapping[str, float]], None] | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise RecipeError(f"every is {self.every}; a probe needs at least 1 step between two measurements.")

    def due(self, step: int, steps: int) -> bool:
        """Return whether to measure after `step` of `steps`; the end is always measured."""
        return step % self.every == 0 or step == steps

    def measure(self, net: SNNet, step: int) -> dict[str, float]:
        """Return `top1/ID` (or another score) -> value, as far as it is known; weights, modes and random state stay."""
        tree = Tree()
        for stitch in self.stitches:
            tree.add(stitch, net.steps(stitch))
        scores = {stitch: Scores(net.task) for stitch in tree.stitches}
        devices = range(torch.cuda.device_count())
        # Not inference_mode: a module may cache tensors that the next step needs. A loader may draw random numbers.
        with evaluating(net) as device, torch.no_grad(), torch.random.fork_rng(devices=devices):
            if self.calibration is not None and has_batch_norm(net):
                recalibrate(
                    net, self.calibration, stitches=self.stitches, anchors=self.anchors, device=device, progress=False
                )
            for batch in self.batches:
                images, targets = net.task.checked(batch, net.num_classes)
                for name, outputs in run_tree(net, tree, images.to(device)):
                    scores[name].add(outputs, targets.to(device))
            net.forget_statistics()
        chosen_by = net.task.scores[0]
        values = {name: score.result()[0] for name, score in scores.items()}
        found = {name: known[chosen_by] for name, known in values.items() if chosen_by in known}
        if self.told is not None:
            self.told(step, found)
        return {f"{chosen_by}/{name}": score for name, score in found.items()}


def spread_of(stitches: Sequence[Stitch], count: int) -> list[Stitch]:
    """Return the anchors and `count` other stitches, evenly spread over the order of the space."""
    anchors = [stitch for stitch in stitches if stitch.is_anchor]
    others = [stitch for stitch in stitches if not stitch.is_anchor]
    count = min(count, len(others))
    return anchors + [others[(2 * number + 1) * len(others) // (2 * count)] for number in range(count)]
