from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from snnet.data import TrainBatches
from snnet.errors import DataError, RecipeError, TrainingError
from snnet.evaluation import evaluate
from snnet.network import SNNet
from snnet.profiling import count_costs
from snnet.table import frontier_gain
from snnet.tasks import TASKS, Classification, Embedding, MultiLabel, Task, build_task, describe_task
from snnet.training import Distillation, DistillationSettings, RunSettings, StitchLoss, Trainer, anchor_teacher
from tests.helpers.draws import told_by_draws


@dataclass(frozen=True)
class Regression(Task):
    """Numbers `(B,)`; the mean absolute error times a scale."""

    scores: ClassVar[tuple[str, ...]] = ("mae",)
    scale: float = 1.0

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs[:, 0] - targets).square().mean()

    def statistics(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs[:, 0] - targets).abs()[:, None].double()

    def score(self, sums: Tensor, images: int) -> Mapping[str, float]:
        return {"mae": self.scale * float(sums[0]) / images}


@pytest.fixture
def regression() -> object:
    TASKS.register("regression")(Regression)
    yield
    del TASKS._entries["regression"]


@pytest.mark.usefixtures("regression")
def test_a_task_goes_by_its_name_and_settings() -> None:
    assert describe_task(Classification()) == {"name": "classification"}
    again = build_task(**describe_task(Regression(scale=2.0)))
    assert again == Regression(scale=2.0)
    with pytest.raises(RecipeError, match=r"does not take these settings: .*'color'"):
        build_task("regression", color=1)


def test_a_task_without_a_name_says_how_to_give_it_one() -> None:
    with pytest.raises(RecipeError, match=r"@snnet\.TASKS\.register\('regression'\)"):
        describe_task(Regression())
    with pytest.raises(RecipeError, match=r"Unknown task 'clasification'.* 'classification'"):
        build_task("clasification")


def test_what_a_task_need_not_say() -> None:
    task, generator = Regression(), torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 50, 3, generator=generator).unbind()
    torch.testing.assert_close(task.divergence(one, other), (one - other).square().mean(1) / 2)
    assert task.agreement(one, one).min() == 1 and task.agreement(one, other).max() <= 1
    torch.testing.assert_close(task.follow(one, other, kind="soft", temperature=1.0), (one - other).square().mean())
    with pytest.raises(TrainingError, match=r"no label smoothing, and 0.1"):
        task.smoothed_loss(one, one[:, 0], 0.1)
    first, second = torch.randn(2, 5, 2, generator=generator).unbind()
    assert len(set(task.digests(torch.cat([first, second, first.flip(1)])).tolist())) == 15
    expected = float(task.divergence(one[:1], one[:1] + other[:1]))
    assert told_by_draws(task, one[:1], other[:1]) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("batch", [torch.zeros(2), (torch.zeros(2), 3), (torch.zeros(2, 3, 4, 4),) * 3])
def test_what_is_no_batch_is_refused(batch: object) -> None:
    with pytest.raises(DataError, match="two tensors"):
        Regression().checked(batch, 1)


def test_other_numbers_of_targets_are_refused() -> None:
    with pytest.raises(DataError, match=r"\(2, 3, 4, 4\) with torch.float32 \(3,\)"):
        Regression().checked((torch.zeros(2, 3, 4, 4), torch.zeros(3)), 1)


def test_doubt_is_how_little_the_others_agree_with_the_best() -> None:
    task, images = Classification(), torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(0))
    mean = images.softmax(2).mean(0).sort(descending=True).values
    torch.testing.assert_close(task.doubt(list(images)), 1 - mean[:, 0] + mean[:, 1])
    plain = Task.doubt(task, [*images, images[1]])
    first = images[0].argmax(1) == images[1].argmax(1)
    torch.testing.assert_close(plain, torch.where(first, 0.0, 0.5).double())
    assert not Task.doubt(task, [images[0]]).any()


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """Images with any targets, read one at a time."""

    def __init__(self, targets: Tensor) -> None:
        self.images, self.targets = torch.randn(24, 1, 28, 28, generator=torch.Generator().manual_seed(1)), targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.targets[index]


@pytest.mark.usefixtures("regression")
@pytest.mark.parametrize("kind", ["regression", "multilabel", "vectors", "labels"])
def test_networks_are_trained_evaluated_and_compared_by_any_task(kind: str, tiny_net: SNNet) -> None:
    generator = torch.Generator().manual_seed(0)
    tasks: dict[str, tuple[Task, Tensor]] = {
        "regression": (Regression(), torch.rand(24, generator=generator)),
        "multilabel": (MultiLabel(), torch.rand(24, 10, generator=generator) < 0.5),
        "vectors": (Embedding(), torch.randn(24, 10, generator=generator)),
        "labels": (Embedding(torch.randn(4, 10, generator=generator).tolist()), torch.arange(24) % 4),
    }
    tiny_net.task, targets = tasks[kind]
    data = Pairs(targets)
    part = Distillation(anchor_teacher(tiny_net), DistillationSettings(kind="soft"))
    loss = StitchLoss(task=tiny_net.task, distillation=part)
    Trainer(tiny_net, TrainBatches(data, 8), run=RunSettings(steps=2, trackers=(), device="cpu"), loss=loss).fit()
    count_costs(tiny_net)
    table = evaluate(tiny_net, data, stitches=range(6))
    assert table.score == tiny_net.task.scores[0] and (table.hits is None) == (kind != "labels")
    with torch.no_grad():
        outputs = tiny_net(data.images, 5)
    statistics = tiny_net.task.statistics(outputs, tiny_net.task.checked((data.images, targets), 10)[1])
    for name, value in tiny_net.task.score(statistics.double().sum(0), 24).items():
        assert table[5].values[name] == pytest.approx(value, rel=1e-4)
    assert frontier_gain(table).frontier.score == table.score
