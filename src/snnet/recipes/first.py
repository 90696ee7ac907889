# Tested in tests/recipes/test_dense.py.
"""The first phase of a run: the anchors alone learn from the targets, with a new head, before there are routes."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import torch

from snnet.data import calibration_images
from snnet.init import InitReport, initialize
from snnet.network import SNNet
from snnet.recipes.parts import Parts
from snnet.recipes.run_directory import FIRST
from snnet.recipes.trainer import run_sections
from snnet.space import Stitch
from snnet.training import StitchLoss, Trainer
from snnet.training.samplers import StitchSampler
from snnet.utils import Show, copy_from_first


def train_first(parts: Parts, directory: Path, *, on_message: Callable[[str], None] | None, progress: Show) -> None:
    """Train the anchors alone; a phase that was begun goes on, and one that is done is read.

    Layers that maps go through are fitted before, and trained with the head.

    Args:
        parts: What is trained, and on which images.
        directory: Of the run.
        on_message: As for `Trainer.fit`.
        progress: As for `Trainer.fit`.
    """
    recipe, net = parts.recipe, parts.net
    if any(layers_of_anchors(net)):
        fit_layers(parts)
    trainer = first_trainer(parts, recipe.first.steps, directory / FIRST)
    result = trainer.fit(resume=True, on_message=on_message, progress=progress)
    if result.averaged is not None:
        net.load_state_dict(result.averaged.state_dict())


def fit_layers(parts: Parts, keep: Collection[str] = (), progress: Show = False) -> InitReport:
    """Fit stitching layers on clean training images, as the recipe says, the same in all processes.

    Args:
        parts: The network, and the images.
        keep: Names of layers that stay as they are.
        progress: As for `initialize`.
    """
    net, section, seed = parts.net, parts.recipe.calibration, parts.recipe.run.seed
    with torch.random.fork_rng():
        images = calibration_images(parts.images, section.images, seed)
        torch.manual_seed(seed)
        # Statistics are measured by a step of their own, on images of their own.
        how = {**section.model_dump(include={"method", "ridge"}), "recalibration_images": 0}
        fit = initialize(net, images, **how, device=parts.device, keep=keep, progress=progress)
    # Each process has computed the same, but for the last bits where machines differ.
    copy_from_first(net.state_dict().values())
    return fit


def first_trainer(parts: Parts, steps: int, directory: Path | None = None) -> Trainer:
    """Return what trains the anchors alone for so many steps, with checkpoints in a directory if one is given."""
    recipe, net = parts.recipe, parts.net
    return Trainer(
        net,
        parts.train,
        run=recipe.with_run(steps=steps).run,
        optim=recipe.first.optim,
        sampler=AnchorSampler(net.space.where(max_segments=1), recipe.first.largest),
        loss=StitchLoss(smoothing=recipe.loss.smoothing, task=net.task),
        directory=directory,
        facts=run_sections(recipe),
    )


class AnchorSampler(StitchSampler):
    """One anchor, the largest more often than the others.

    Args:
        anchors: From the cheapest to the largest.
        largest: Probability of the largest; that of any if None.
    """

    def __init__(self, anchors: Sequence[Stitch], largest: float | None) -> None:
        self.anchors, self.largest = tuple(anchors), 1 / len(anchors) if largest is None else largest

    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:  # noqa: ARG002
        """Choose the largest, or else any of the others."""
        *others, last = self.anchors
        if not others or float(torch.rand((), generator=generator)) < self.largest:
            return (last,)
        return (others[int(torch.randint(len(others), (), generator=generator))],)

    def describe(self) -> dict[str, object]:
        """Return the name, and the share of the largest."""
        return {**super().describe(), "largest": self.largest}


def layers_of_anchors(net: SNNet) -> tuple[str, ...]:
    """Return the layers through which maps of the anchors alone go."""
    anchors = net.space.where(max_segments=1)
    steps = (step for stitch in anchors for step in net.steps(stitch))
    return tuple(dict.fromkeys(step.layer for step in steps if step.kind == "tap" and step.layer))
