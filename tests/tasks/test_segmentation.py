from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from snnet.errors import DataError, RecipeError
from snnet.tasks import Classification, Segmentation, build_task, describe_task
from tests.helpers.draws import told_by_draws

TASK = Segmentation()


def data(seed: int = 0, count: int = 6, classes: int = 5, size: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(count, classes, size, size, generator=generator)
    targets = torch.randint(classes, (count, size, size), generator=generator)
    targets[torch.rand(targets.shape, generator=generator) < 0.2] = 255
    return outputs, targets


def score(outputs: Tensor, targets: Tensor, parts: int = 3) -> Mapping[str, float]:
    sums = torch.stack(
        [TASK.statistics(x, y).sum(0) for x, y in zip(outputs.split(parts), targets.split(parts), strict=True)]
    )
    return TASK.score(sums.sum(0), len(outputs))


@pytest.mark.parametrize("parts", [1, 4, 6])
def test_scores_are_those_of_torchmetrics_however_the_images_divide(parts: int) -> None:
    outputs, targets = data()
    found = score(outputs, targets, parts)
    jaccard = MulticlassJaccardIndex(5, ignore_index=255)(outputs.double(), targets)
    accuracy = MulticlassAccuracy(5, average="micro", ignore_index=255)(outputs, targets)
    assert found["miou"] == pytest.approx(100 * float(jaccard), abs=1e-4)
    assert found["pixel_accuracy"] == pytest.approx(100 * float(accuracy), abs=1e-4)
    assert found["loss"] == pytest.approx(float(cross_entropy(outputs.double(), targets, ignore_index=255)), abs=1e-6)


def test_classes_that_occur_nowhere_do_not_count() -> None:
    targets = torch.tensor([[[0, 1], [1, 0]]])
    outputs = torch.zeros(1, 9, 2, 2).scatter(1, targets[:, None], 5.0)
    assert score(outputs, targets)["miou"] == 100.0


def test_pixels_that_are_not_finite_are_wrong_and_counted() -> None:
    outputs, targets = data()
    outputs[0, 1, :2] = torch.nan
    known = int((targets[0, :2] != 255).sum())
    sums = TASK.statistics(outputs, targets).sum(0)
    assert TASK.broken(sums) == known and set(TASK.score(sums, 6)) == {"miou", "pixel_accuracy"}
    assert TASK.score(sums, 6)["pixel_accuracy"] < 100


def test_every_loss_has_the_gradient_of_its_definition() -> None:
    outputs, targets = data(count=2, classes=3, size=4)
    outputs = outputs.double().requires_grad_()
    targets[targets > 2] = 255
    taught = data(1, 2, 3, 4)[0].double()
    weighted = Segmentation(class_weights=(0.2, 1.0, 3.0))
    for loss in (
        lambda x: TASK.loss(x, targets),
        lambda x: weighted.loss(x, targets),
        lambda x: TASK.smoothed_loss(x, targets, 0.1),
        lambda x: TASK.follow(x, taught, kind="soft", temperature=2.0),
        lambda x: TASK.follow(x, taught, kind="hard", temperature=1.0),
    ):
        assert torch.autograd.gradcheck(loss, outputs)
    expected = cross_entropy(outputs, targets, weight=torch.tensor([0.2, 1.0, 3.0]).double(), ignore_index=255)
    torch.testing.assert_close(weighted.loss(outputs, targets), expected)
    nothing = torch.full_like(targets, 255)
    assert TASK.loss(outputs, nothing) == 0 and score(outputs.detach().float(), nothing) == {}


def test_agreement_without_labels() -> None:
    one, other = (TASK.answers(data(seed, size=40)[0]) for seed in (0, 1))
    assert one.shape == (6, 5, 16, 16)
    assert TASK.divergence(one, one).abs().max() < 1e-6 < TASK.divergence(one, other).min()
    assert TASK.agreement(one, one).min() == 1 > TASK.agreement(one, other).max()


def test_gradients_of_draws_tell_the_divergence_that_a_small_change_causes() -> None:
    torch.manual_seed(0)
    outputs, change = torch.randn(1, 4, 3, 3), 0.01 * torch.randn(1, 4, 3, 3)
    expected = TASK.divergence(TASK.answers(outputs), TASK.answers(outputs + change))
    assert told_by_draws(TASK, outputs, change) == pytest.approx(float(expected), rel=0.1)


@pytest.mark.parametrize(
    ("task", "targets", "message"),
    [
        (TASK, torch.zeros(2, 4, 5, dtype=torch.long), r"masks \(B, H, W\) of whole numbers and of their size"),
        (TASK, torch.zeros(2, 4, 4), "masks"),
        (TASK, torch.full((2, 4, 4), 7), r"Label 7 in a mask does not fit a network of 3 classes \(0 to 2, and 255"),
        (
            Segmentation(class_weights=(1.0, 2.0)),
            torch.zeros(2, 4, 4, dtype=torch.uint8),
            "2 class weights for 3 class",
        ),
    ],
)
def test_masks_that_do_not_fit(task: Segmentation, targets: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        task.checked((torch.zeros(2, 1, 4, 4), targets), 3)


def test_it_goes_by_its_name_and_settings() -> None:
    task = Segmentation(ignore=0, class_weights=[1, 2])
    assert build_task(**describe_task(task)) == task
    with pytest.raises(RecipeError, match="class_weights"):
        build_task("segmentation", class_weights=[-1.0, 2.0])


def test_means_of_parts_weighed_by_their_pixels_are_the_mean_of_the_whole() -> None:
    outputs, targets = data(classes=3)
    targets[targets == 4] = 255
    targets[targets > 2] = 0
    targets[:2, :9] = 255
    for task in (TASK, Segmentation(class_weights=(0.2, 1.0, 3.0)), Segmentation(ignore=1)):
        known = targets if task.ignore == 255 else targets.where(targets != 255, 1)
        parts = [slice(0, 2), slice(2, 6)]
        total = sum(task.weight(known[part]) * task.loss(outputs[part], known[part]) for part in parts)
        torch.testing.assert_close(total / task.weight(known), task.loss(outputs, known))
        assert task.weight(known[:2]) / 2 < task.weight(known[2:]) / 4
    assert Classification().weight(torch.zeros(5)) == 5
