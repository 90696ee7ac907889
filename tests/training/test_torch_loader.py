"""torch's own `DataLoader` as batches of a training."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset, WeightedRandomSampler

from snnet.data import TrainBatches
from snnet.errors import DataError
from snnet.network import SNNet
from snnet.training import RunSettings, Trainer, content_digest
from snnet.training.checkpoint import read_checkpoint
from snnet.training.stream import as_batches
from tests.conftest import build_tiny_net
from tests.training.test_trainer import stop_at

IMAGES = torch.randn(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 10


class Noisy(Dataset[tuple[Tensor, int]]):
    """Augments from the global generator, as torchvision's transforms do."""

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return IMAGES[index] + torch.randn(()), int(LABELS[index])


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield IMAGES[0], 0


def trainer(directory: Path) -> Trainer:
    loader = DataLoader(Noisy(), batch_size=8, shuffle=True)
    settings = RunSettings(steps=7, seed=5, trackers=(), device="cpu")
    return Trainer(build_tiny_net(), loader, run=settings, directory=directory)


def final_state(directory: Path) -> str:
    return content_digest(read_checkpoint(directory / "checkpoints" / "step-00000007.pt")["state"])


def test_a_run_on_a_loader_resumes_exactly(tmp_path: Path) -> None:
    trainer(tmp_path / "whole").fit()
    torch.rand(3)  # whatever else draws from the global generator
    stop_at(trainer(tmp_path / "parts"), 6)
    trainer(tmp_path / "parts").fit(resume=True)
    assert final_state(tmp_path / "parts") == final_state(tmp_path / "whole")


def test_every_image_comes_once_an_epoch_in_an_order_of_the_seed() -> None:
    loader = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=8, shuffle=True)
    epochs = [torch.cat([images for images, _ in as_batches(loader, seed).epoch(n)]) for seed, n in ((1, 0), (1, 1))]
    assert not torch.equal(*epochs)
    for images in epochs:
        assert torch.equal(images.flatten(1).sum(1).sort().values, IMAGES.flatten(1).sum(1).sort().values)
    again = torch.cat([images for images, _ in as_batches(loader, 1).epoch(0)])
    assert torch.equal(again, epochs[0])


def test_an_incomplete_last_batch_is_left_out_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    data = TensorDataset(IMAGES, LABELS)
    with caplog.at_level(logging.WARNING):
        assert len(as_batches(DataLoader(data, batch_size=16, shuffle=True, drop_last=True), 0)) == 2
        assert not caplog.messages
        assert len(as_batches(DataLoader(data, batch_size=16, shuffle=True), 0)) == 2
    assert "incomplete last batch" in caplog.text


def test_batches_of_ours_are_taken_as_they_are() -> None:
    batches = TrainBatches(TensorDataset(IMAGES, LABELS), 8)
    assert as_batches(batches, 3) is batches


def collate(samples: Any) -> Any:
    return samples


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 8}, "order is that of a SequentialSampler, not that of shuffle=True"),
        ({"batch_size": 8, "sampler": WeightedRandomSampler([1.0] * 40, 40)}, "WeightedRandomSampler"),
        ({"batch_size": 8, "sampler": RandomSampler(IMAGES, replacement=True)}, "does not take every image once"),
        ({"batch_sampler": [[0, 1]]}, "batch_sampler"),
        ({"batch_size": 8, "shuffle": True, "collate_fn": collate}, r"collate_fn of its own \(collate\)"),
    ],
)
def test_loaders_with_ways_of_their_own_are_refused_with_the_fix(
    tiny_net: SNNet, options: dict[str, Any], words: str
) -> None:
    loader = DataLoader(TensorDataset(IMAGES, LABELS), **options)
    with pytest.raises(DataError, match=rf"{words}.*; give Trainer snnet\.data\.TrainBatches\(dataset, batch_size\)"):
        Trainer(tiny_net, loader, run=RunSettings(steps=1, trackers=()))


@pytest.mark.parametrize("given", [[(IMAGES, LABELS)], TensorDataset(IMAGES, LABELS), None])
def test_what_are_no_batches_is_refused_with_the_fix(given: Any) -> None:
    with pytest.raises(DataError, match=rf"cannot read a {type(given).__name__}.*TrainBatches"):
        as_batches(given, 0)


def test_a_stream_is_refused() -> None:
    with pytest.raises(DataError, match=r"its data set \(Stream\) is a stream, not indexed"):
        as_batches(DataLoader(Stream(), batch_size=8), 0)
