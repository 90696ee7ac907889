import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div
from torchmetrics.functional.classification import multiclass_accuracy

from snnet.errors import DataError
from snnet.tasks import Classification
from tests.helpers.draws import told_by_draws

TASK = Classification()


def data(seed: int = 0, count: int = 64, classes: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, classes, generator=generator), torch.randint(classes, (count,), generator=generator)


@pytest.mark.parametrize("classes", [3, 12])
def test_scores_are_those_of_torchmetrics_however_the_images_divide(classes: int) -> None:
    outputs, targets = data(classes=classes)
    parts = [slice(0, 10), slice(10, 11), slice(11, 64)]
    sums = sum(TASK.statistics(outputs[part], targets[part]).sum(0) for part in parts)
    assert isinstance(sums, torch.Tensor)
    found = TASK.score(sums, len(targets))
    for name, k in {"top1": 1, "top5": min(5, classes)}.items():
        expected = 100 * multiclass_accuracy(outputs, targets, classes, average="micro", top_k=k)
        assert found[name] == pytest.approx(float(expected), abs=1e-4)
    assert found["loss"] == pytest.approx(float(cross_entropy(outputs, targets)), abs=1e-6)


def test_what_is_not_finite_is_wrong_and_counted() -> None:
    outputs, targets = data()
    outputs[3] = torch.nan
    sums = TASK.statistics(outputs, targets).sum(0)
    assert TASK.broken(sums) == 1 and "loss" not in TASK.score(sums, len(targets))
    assert TASK.statistics(outputs, targets)[3, 0] == 0


def test_every_loss_has_the_gradient_of_its_definition() -> None:
    outputs, targets = data(count=4, classes=5)
    outputs = outputs.double().requires_grad_()
    taught = data(1, 4, 5)[0].double()
    for loss in (
        lambda x: TASK.loss(x, targets),
        lambda x: TASK.smoothed_loss(x, targets, 0.1),
        lambda x: TASK.follow(x, taught, kind="soft", temperature=2.0),
        lambda x: TASK.follow(x, taught, kind="hard", temperature=1.0),
    ):
        assert torch.autograd.gradcheck(loss, outputs)


def test_agreement_without_labels() -> None:
    outputs, other = (TASK.answers(data(seed)[0]) for seed in (0, 1))
    assert TASK.divergence(outputs, outputs).abs().max() < 1e-6 and TASK.agreement(outputs, outputs).min() == 1
    expected = kl_div(other, outputs, log_target=True, reduction="none").sum(1)
    torch.testing.assert_close(TASK.divergence(outputs, other), expected)


def test_gradients_of_draws_tell_the_divergence_that_a_small_change_causes() -> None:
    torch.manual_seed(0)
    logits, change = torch.randn(1, 6), 0.01 * torch.randn(1, 6)
    expected = TASK.divergence(TASK.answers(logits), TASK.answers(logits + change))
    assert told_by_draws(TASK, logits, change) == pytest.approx(float(expected), rel=0.1)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.zeros(3), r"integer labels \(B,\)"),
        (torch.zeros(2, dtype=torch.long), r"integer labels"),
        (torch.full((3,), 7), r"Label 7 does not fit a network of 5 classes \(0 to 4\)"),
    ],
)
def test_labels_that_do_not_fit(targets: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        TASK.checked((torch.zeros(3, 1, 4, 4), targets), 5)
