"""A small run with everything random switched on; as a script it trains in a directory until it is killed."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from timm.data import Mixup
from torch import Tensor

from snnet.network import SNNet
from snnet.space import StitchSpace
from snnet.training import (
    Distillation,
    DistillationSettings,
    OptimSettings,
    RunSettings,
    StitchLoss,
    Trainer,
    anchor_teacher,
)
from tests.conftest import build_tiny_anchor


class TinyBatches:
    """Random images whose labels can be learned, shuffled by epoch."""

    def __init__(self, num_images: int = 40, batch_size: int = 8) -> None:
        generator = torch.Generator().manual_seed(1)
        self.images = torch.randn(num_images, 1, 28, 28, generator=generator)
        self.labels = self.images.mean(dim=(2, 3)).flatten().mul(100).long() % 10
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(epoch))
        for number in range(start_batch, len(self)):
            pick = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield self.images[pick], self.labels[pick]


def build_net() -> SNNet:
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(width, drop_path_rate=0.3, proj_drop_rate=0.1) for width in (16, 32)]
    return SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors]))


def build_trainer(directory: Path, net: SNNet | None = None, **options: Any) -> Trainer:
    net, soft = net or build_net(), DistillationSettings(kind="soft", temperature=2.0)
    return Trainer(
        net,
        TinyBatches(),
        run=RunSettings(steps=14, accumulation=2, ema_decay=0.9, log_every=4, save_every=3, trackers=()),
        optim=OptimSettings(lr=1e-3, anchor_lr_scale=0.5, warmup_epochs=1.2, clip_norm=1.0),
        loss=StitchLoss(distillation=Distillation(anchor_teacher(net), soft)),
        mixup=Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=0.1, num_classes=10),
        directory=directory,
        **options,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    build_trainer(Path(sys.argv[1])).fit(resume=True, on_step=lambda status: print(status.step, flush=True))
