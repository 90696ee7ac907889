"""Tiny networks that end in maps, data of stripes that they can learn, and runs in several processes."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snnet.data import TensorImages, TrainBatches
from snnet.evaluation import evaluate
from snnet.network import SNNet
from snnet.space import StitchSpace
from snnet.tasks import Depth, Segmentation, Task
from snnet.training import (
    Distillation,
    DistillationSettings,
    OptimSettings,
    OwnAnchorTeacher,
    RunSettings,
    StitchLoss,
    Trainer,
)
from snnet.utils import distributed as processes
from tests.conftest import build_tiny_anchor

TASKS: dict[str, tuple[Task, int]] = {"segmentation": (Segmentation(), 3), "depth": (Depth(), 1)}
"""Tasks, and how many outputs their networks have."""


def dense_net(kind: str) -> SNNet:
    """Two ViTs of two blocks with a linear head over their maps; all weights are random."""
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(width, depth=2) for width in (16, 32)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors]))
    task, outputs = TASKS[kind]
    return net.set_head("linear", outputs, task=task).eval()


def dense_data(kind: str, count: int = 26, *, known: bool = False) -> TensorImages:
    """Images of two halves, whose brightness is told by the target; of some pixels nothing is known unless `known`."""
    generator = torch.Generator().manual_seed(1)
    levels = torch.randint(3, (count, 2), generator=generator)
    bright = levels.repeat_interleave(14, 1)[:, None].expand(count, 28, 28)
    images = (bright - 1.0 + 0.1 * torch.randn(count, 28, 28, generator=generator))[:, None]
    # Of some images much is hidden, so that pixels divide otherwise than images.
    share = torch.rand(count, 1, 1, generator=generator)
    hidden = torch.rand(count, 28, 28, generator=generator) < (0.0 if known else share)
    if kind == "depth":
        return TensorImages(images, torch.where(hidden, torch.nan, 1.0 + bright), ())
    return TensorImages(images, torch.where(hidden, 255, bright), ("dark", "grey", "bright"))


def outputs_of(net: SNNet, stitch: str, images: Tensor) -> Tensor:
    with torch.no_grad():
        return net(images, stitch)


def dense_trainer(kind: str, directory: Path | None = None, steps: int = 12, *, taught: bool = False) -> Trainer:
    """A run over accumulated batches, with drop path and the like left out."""
    net = dense_net(kind)
    part = Distillation(OwnAnchorTeacher(net), DistillationSettings(kind="soft")) if taught else None
    return Trainer(
        net,
        TrainBatches(dense_data(kind), 10, seed=3),
        run=RunSettings(steps=steps, accumulation=2, ema_decay=0.8, save_every=3, trackers=(), device="cpu"),
        optim=OptimSettings(lr=3e-3, clip_norm=1.0),
        loss=StitchLoss(task=net.task, distillation=part),
        directory=directory,
    )


def scores(kind: str, **options: Any) -> dict[str, dict[str, float]]:
    table = evaluate(dense_net(kind), dense_data(kind), batch_size=7, **options)
    return {row.stitch: dict(row.values) for row in table}


def run_together(directory: Path) -> None:
    """Evaluate and train in all of the processes; the first writes what came out."""
    found: dict[str, Any] = {}
    with processes.joined("cpu"):
        for kind in TASKS:
            trainer = dense_trainer(kind, steps=4)
            found[kind] = {"scores": scores(kind, output=directory / f"{kind}.jsonl")}
            found[kind] |= {"loss": trainer.fit().loss, "net": trainer.net.state_dict()}
        if processes.share().is_first:
            torch.save(found, directory / "found.pt")
