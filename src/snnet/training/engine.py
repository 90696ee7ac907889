# Tested in tests/training/test_trainer.py.
"""One optimizer step of one or more stitches: forward, loss, backward, update, on any device and precision."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.utils import GradientAccumulationPlugin, ProjectConfiguration
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from snnet.anchors import batch_norms
from snnet.errors import DataError, RecipeError, TrainingError
from snnet.network import SNNet, check_batch
from snnet.space import Stitch, join_ids
from snnet.training.loss import StitchLoss
from snnet.training.optim import build_optimizer, build_schedule, learning_rates
from snnet.training.randomness import reseed
from snnet.training.settings import OptimSettings, RunSettings
from snnet.training.spread import (
    average_statistics,
    divided_state,
    gathered,
    load_whole,
    shard,
    sum_over_processes,
)
from snnet.training.stream import Batch
from snnet.utils import copy_from_first, share

Mixup = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Turns images and labels into mixed images and soft targets, as `timm.data.Mixup` does."""


def check_task(net: SNNet, loss: StitchLoss, mixup: Mixup | None) -> None:
    """Refuse a loss of another task than the network's, and mixup where targets cannot be mixed.

    Raises:
        RecipeError: If they do not fit.
    """
    task, other = type(net.task), type(loss.task)
    if task is not other:
        raise RecipeError(
            f"The loss is of {other.__name__}, and the network is for {task.__name__}: StitchLoss(task=net.task)."
        )
    if mixup is not None and not task.takes_mixup:
        raise RecipeError(
            f"Mixup and cutmix mix classes of whole images, and {task.__name__} has other {task.targets}; leave them "
            "out (augment.mix null)."
        )


class Total(NamedTuple):
    """Of a micro-batch in all processes: images, and how much their targets weigh (`Task.weight`; 0 if all alike)."""

    images: int
    targets: float


@dataclass(frozen=True)
class Update:
    """What one step gave in all processes: mean loss, norm of the gradients before clipping, and images taken."""

    loss: float
    grad_norm: float
    images: int


@contextmanager
def apart() -> Iterator[None]:
    """Give accelerate a state of its own within the block; it keeps one per process and refuses another precision."""
    states = [kind._shared_state for kind in (PartialState, AcceleratorState, GradientState)]
    before, threads = [dict(state) for state in states], torch.get_num_threads()
    for state in states:
        state.clear()
    try:
        yield
    finally:
        for state, kept in zip(states, before, strict=True):
            state.clear()
            state.update(kept)
        torch.set_num_threads(threads)


def build_accelerator(run: RunSettings, directory: Path | None = None) -> Accelerator:
    """Return the accelerator of a run, within `apart`; with a directory, the run's trackers write there."""
    return Accelerator(
        cpu=run.place == "cpu",
        mixed_precision="no" if run.precision == "fp32" else run.precision,
        # Given as an int, accelerate would let an environment variable override it.
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=run.accumulation),
        log_with=(list(run.trackers) or None) if directory else None,
        project_config=ProjectConfiguration(logging_dir=str(directory)) if directory else None,
    )


class Engine:
    """The network with everything that a step changes.

    Args:
        net: Trained in place.
        accelerator: Device, precision and accumulation.
        run: With `ema_decay`, a moving average of the weights is kept in `ema`; with `sharding` fsdp, a copy of the
            network is divided over the processes, and `finish` brings the weights back.
        optim: How weights move.
        loss: The loss of a stitch.
        mixup: Applied to each batch.
        steps: Steps of the whole run, for the schedule.
        warmup: Steps among them over which the rate rises.
    """

    def __init__(
        self,
        net: SNNet,
        accelerator: Accelerator,
        run: RunSettings,
        optim: OptimSettings,
        loss: StitchLoss,
        mixup: Mixup | None,
        steps: int,
        warmup: int,
    ) -> None:
        self.accelerator = accelerator
        self.share = share()
        self.sharded = run.sharding == "fsdp" and self.share.count > 1
        self.given = net
        copy_from_first(net.state_dict().values())
        self.net = deepcopy(net) if self.sharded else net.to(accelerator.device)
        self.loss = loss.to(accelerator.device)
        self.mixup = mixup
        self.clip_norm = math.inf if optim.clip_norm is None else optim.clip_norm
        self.ema = None if run.ema_decay is None else ModelEmaV3(self.net, decay=run.ema_decay)
        if self.sharded:
            shard(self.net, accelerator.device)
            if self.ema is not None:
                shard(self.ema.module, accelerator.device)
        self.optimizer = accelerator.prepare_optimizer(build_optimizer(self.net, optim))
        self.schedule = build_schedule(self.optimizer.optimizer, optim, steps, warmup)
        self.norms = batch_norms([self.net])
        # Listed once: walking through the modules takes as long as clipping.
        self.parameters = list(self.net.parameters())

    def update(
        self,
        seed: int,
        step: int,
        batches: Sequence[Batch],
        stitches: Sequence[Stitch],
        totals: Sequence[Total] = (),
    ) -> Update:
        """Do step number `step`; weights change only if losses and gradients are finite.

        Args:
            seed: With `step`, decides all randomness.
            step: Steps done before.
            batches: The micro-batches whose gradients are averaged.
            stitches: The routes to train, each on every micro-batch; the mean of their losses counts. Parameters
                outside them do not move.
            totals: Of each micro-batch in all processes together; empty if there is one process.

        Raises:
            TrainingError: If the loss or a gradient is not finite, in all processes alike.
        """
        totals = totals or [Total(len(targets), 0.0) for _, targets in batches]
        reseed(seed, step, self.share.rank)
        self.schedule.step_update(step)
        for parameter in self.parameters:
            parameter.grad = None
        losses: list[float] = []
        norm = math.nan
        for batch, total in zip(batches, totals, strict=True):
            with self.accelerator.accumulate(self.net):
                losses += self._backward(batch, stitches, step, total)
                if self.accelerator.sync_gradients:
                    losses = self._sum(losses, stitches, step)
                    norm = self._move(stitches, step)
        average_statistics(self.norms)
        if self.ema is not None:
            self.ema.update(self.net, step + 1)
        return Update(sum(losses) / len(losses), norm, sum(total.images for total in totals))

    def finish(self) -> nn.Module | None:
        """Bring the weights back to the network that was given; return its moving average, None if there is none."""
        averaged: nn.Module | None = None if self.ema is None else self.ema.module
        if not self.sharded:
            return averaged
        self.given.load_state_dict(gathered(self.net.state_dict()))
        if averaged is None:
            return None
        whole = deepcopy(self.given).requires_grad_(False)
        whole.load_state_dict(gathered(averaged.state_dict()))
        return whole

    def rates(self) -> dict[str, float]:
        """Return the learning rates of the step done last."""
        return learning_rates(self.optimizer.optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that steps change; the schedule is a function of the step and needs nothing.

        All processes must call this. Where the network is divided only the first gets the tensors, whole.
        """
        scaler = self.accelerator.scaler
        state = {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": None if self.ema is None else self.ema.module.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }
        return gathered(state, keep=self.share.is_first) if self.sharded else state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave the first process, in however many processes that was."""
        load_whole(self.net, state["net"])
        self.optimizer.load_state_dict(divided_state(self.optimizer.optimizer, state["optimizer"]))
        if self.ema is not None:
            load_whole(self.ema.module, state["ema"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _backward(self, batch: Batch, stitches: Sequence[Stitch], step: int, total: Total) -> list[float]:
        """Add the gradient of one micro-batch; return each stitch's loss on it, times the weight of these images."""
        weight = len(batch[1]) / total.images
        # Of all pixels that are known these images may have more than their share.
        scale = self.net.task.weight(batch[1]) / total.targets / weight if total.targets else 1.0
        images, targets = self._prepare(*batch)
        losses: list[float] = []
        first: Tensor | None = None
        # FSDP averages over the processes where sums are wanted.
        factor = weight * self.share.count if self.sharded else weight
        for stitch in stitches:
            with self.accelerator.autocast():
                logits = self.net(images, stitch)
                loss: Tensor = self.loss(logits, targets, images, stitch, first, scale=scale)
            first = logits.detach() if first is None else first
            losses.append(weight * loss.item())
            if self.share.count == 1:
                _check_finite("loss", losses[-1], (stitch,), step)
            # One by one, so that the activations of one stitch are held at a time.
            if loss.requires_grad:
                self.accelerator.backward(loss * factor / len(stitches))
        return losses

    def _sum(self, losses: list[float], stitches: Sequence[Stitch], step: int) -> list[float]:
        """Sum losses and gradients over the processes, which end together if a loss is not finite in one of them."""
        if self.share.count == 1:
            return losses
        # What is divided has been summed by the backward pass.
        summed = sum_over_processes(() if self.sharded else self.parameters, losses)
        for number, loss in enumerate(summed):
            _check_finite("loss", loss, (stitches[number % len(stitches)],), step)
        return summed

    def _prepare(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        device = self.accelerator.device
        images, targets = self.net.task.checked((images, labels), self.net.num_classes)
        images, targets = images.to(device, non_blocking=True), targets.to(device, non_blocking=True)
        with self.accelerator.autocast():
            check_batch(images, self.net)
        if self.mixup is not None:
            if len(images) % 2:
                raise DataError(f"Mixup pairs images, and a batch has {len(images)}; take an even batch size.")
            # timm mixes in place, and the batch may be a view of the data set.
            images, targets = self.mixup(images.clone(), targets)
        return images, targets

    def _move(self, stitches: Sequence[Stitch], step: int) -> float:
        """Change the weights; return the norm of the gradients before clipping."""
        if all(parameter.grad is None for parameter in self.parameters):
            # An anchor alone, while anchors are frozen. A gradient scaler refuses a step without any gradient.
            return 0.0
        norm: Tensor = self.accelerator.clip_grad_norm_(self.parameters, self.clip_norm)
        value = (norm.full_tensor() if isinstance(norm, DTensor) else norm).item()
        # With fp16 an overflow is expected now and then: the scaler skips the step and lowers its scale.
        if self.accelerator.scaler is None:
            _check_finite("norm of the gradients", value, stitches, step)
        self.optimizer.step()
        return value


def _check_finite(what: str, value: float, stitches: Sequence[Stitch], step: int) -> None:
    if not math.isfinite(value):
        raise TrainingError(
            f"The {what} is {value} at step {step + 1}, in stitch {join_ids(stitches)}. Lower the learning rate, "
            "clip gradients (clip_norm), or train in fp32."
        )
