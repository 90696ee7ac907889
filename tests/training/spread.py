"""Small runs that should not depend on the number of processes; as a script they write what they end with."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snnet.data import BatchAugment, TensorImages, TrainBatches
from snnet.errors import DataError, TrainingError
from snnet.evaluation import evaluate
from snnet.network import SNNet
from snnet.space import Stitch, StitchSpace
from snnet.training import OptimSettings, RunSettings, Trainer
from snnet.training.samplers import StitchSampler
from snnet.utils import WHOLE, Share
from snnet.utils import distributed as processes
from tests.batch_norm_family import build_conv_net
from tests.conftest import build_tiny_anchor

STEPS, BATCH = 20, 10


class TwoAStep(StitchSampler):
    """The first stitch, and one drawn from a few; most of the network is never used."""

    def __init__(self, net: SNNet) -> None:
        self.stitches = list(net.space)[:4]

    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:
        return self.stitches[0], self.stitches[int(torch.randint(4, (), generator=generator))]


def build_net() -> SNNet:
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(width, depth=2) for width in (16, 32)]
    return SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors]))


def images(size: int = 28) -> TensorImages:
    pixels = torch.randn(50, 1, size, size, generator=torch.Generator().manual_seed(1))
    return TensorImages(pixels, torch.arange(50) % 10, [str(number) for number in range(10)])


class Poisoned:
    """Images of which the last one of the third batch is NaN, so that one process alone reads it."""

    def __len__(self) -> int:
        return 5

    def epoch(self, epoch: int, start_batch: int = 0, share: Share = WHOLE) -> Iterator[tuple[Tensor, Tensor]]:
        data = images()
        for number in range(start_batch, 5):
            batch = data.images[10 * number : 10 * number + 10].clone()
            batch[-1] *= torch.nan if number == 2 else 1.0
            yield batch[share.of(10)], data.labels[10 * number : 10 * number + 10][share.of(10)]


def trainer(net: SNNet, directory: Path | None = None, optimizer: str = "adamw", **options: Any) -> Trainer:
    size = net.input.size[-1]
    run = {"steps": STEPS, "accumulation": 2, "ema_decay": 0.8, "save_every": 0, "trackers": (), "device": "cpu"}
    return Trainer(
        net,
        TrainBatches(images(size), BATCH, seed=3, augment=BatchAugment()),
        run=RunSettings(**{**run, **options}),
        optim=OptimSettings(optimizer=optimizer, lr=1e-3, weight_decay=0.1, clip_norm=0.5),  # type: ignore[arg-type]
        sampler=TwoAStep(net),
        directory=directory,
    )


def finish(run: Trainer, **fit: Any) -> dict[str, Any]:
    """Train, and return the weights, their average, the loss, and whether all processes agree on them."""
    result = run.fit(**fit)
    state = run.net.state_dict()
    digests = processes.gather([value.double().sum().item() for value in state.values()])
    averaged = result.averaged.state_dict() if result.averaged else {}
    agree = all(digest == digests[0] for digest in digests)
    return {"net": state, "ema": averaged, "loss": result.loss, "agree": agree}


def assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    for part in ("net", "ema"):
        assert one[part].keys() == other[part].keys() and one[part]
        for name, value in one[part].items():
            assert torch.allclose(value, other[part][name], rtol=0, atol=1e-5), (part, name)


def nan_message() -> str:
    run = trainer(build_net())
    run.batches = Poisoned()
    try:
        run.fit()
    except TrainingError as error:
        return str(error)
    return "nothing was raised"


def evaluation(directory: Path) -> dict[str, Any]:
    net, data = build_net(), images()
    table = evaluate(net, data, stitches=range(3), batch_size=7, output=directory / "table.jsonl")
    batches = [(data.images[:30], data.labels[:30]), (data.images[30:], data.labels[30:])]
    other = evaluate(net, batches, stitches=range(3))
    bits = [table.hits and table.hits.bits, other.hits and other.hits.bits]
    rows, others = ([dict(row.values) for row in one] for one in (table, other))
    return {"rows": rows, "other": others, "bits": bits, **table.meta}


def shuffled_message() -> str:
    order = torch.randperm(50, generator=torch.Generator().manual_seed(processes.share().rank))
    try:
        evaluate(build_net(), [(images().images[order], images().labels[order])])
    except DataError as error:
        return str(error)
    return "nothing was raised"


def alone_and_together() -> list[list[dict[str, Any]]]:
    """Evaluate twice, each time joining and parting again."""
    tables = []
    for _ in range(2):
        table = evaluate(build_net(), images(), stitches=range(3), device="cpu")
        assert processes.share() == WHOLE, "the group that evaluate opened is still there"
        tables.append([dict(row.values) for row in table])
    return tables


def run_all(directory: Path) -> None:
    """Do everything once and let the first process write it down."""
    apart = alone_and_together()
    with processes.joined("cpu"):
        _run_joined(directory, apart, everything=processes.share().count == 2)


def _run_joined(directory: Path, apart: object, *, everything: bool) -> None:
    found: dict[str, Any] = {"apart": apart, "same": finish(trainer(build_net(), directory / "same"))}
    found["evaluation"] = evaluation(directory)
    if everything:
        found["fsdp"] = finish(trainer(build_net(), directory / "fsdp", sharding="fsdp"))
        found["own norms"] = finish(trainer(build_conv_net((4, 6)), steps=2))
        found["nan"] = processes.gather(nan_message())
        found["shuffled"] = processes.gather(shuffled_message())
    if processes.share().is_first:
        torch.save(found, directory / "found.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_all(Path(sys.argv[1]))
    # All is written and the group is closed. Threads of torch that wake while the interpreter ends may abort it.
    sys.stdout.flush()
    os._exit(0)
