import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits
from torchmetrics.classification import MultilabelExactMatch, MultilabelF1Score

from snnet.errors import DataError
from snnet.tasks import MultiLabel, build_task
from tests.helpers.draws import told_by_draws

TASK = MultiLabel()


def data(seed: int = 0, count: int = 60, labels: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(count, labels, generator=generator)
    return outputs, (outputs + torch.randn(count, labels, generator=generator) > 0).float()


@pytest.mark.parametrize("parts", [1, 7, 60])
def test_scores_are_those_of_torchmetrics_however_the_images_divide(parts: int) -> None:
    outputs, targets = data()
    outputs[:, 3], targets[:, 3] = -1.0, 0.0  # a label that is neither there nor guessed
    pairs = zip(outputs.split(parts), targets.split(parts), strict=True)
    found = TASK.score(torch.stack([TASK.statistics(x, y).sum(0) for x, y in pairs]).sum(0), 60)
    f1, exact = MultilabelF1Score(4), MultilabelExactMatch(4)
    assert found["f1"] == pytest.approx(100 * float(f1(outputs.sigmoid(), targets.int())), abs=1e-4)
    assert found["exact_match"] == pytest.approx(100 * float(exact(outputs.sigmoid(), targets.int())), abs=1e-4)
    assert found["loss"] == pytest.approx(float(binary_cross_entropy_with_logits(outputs, targets)), abs=1e-6)


def test_what_is_not_finite_is_wrong_in_every_label_and_counted() -> None:
    outputs, targets = data()
    outputs[3, 1] = torch.nan
    each = TASK.statistics(outputs, targets)
    assert TASK.broken(each.sum(0)) == 1 and set(TASK.score(each.sum(0), 60)) == {"f1", "exact_match"}
    assert not each[3, :4].any() and torch.equal(each[3, 4:8], 1.0 - targets[3].double()) and not each[3, 12]


def test_every_loss_has_the_gradient_of_its_definition() -> None:
    outputs, targets = data(count=3)
    outputs, targets = outputs.double().requires_grad_(), targets.double()
    taught = data(1, 3)[0].double()
    for loss in (
        lambda x: TASK.loss(x, targets),
        lambda x: TASK.smoothed_loss(x, targets, 0.1),
        lambda x: TASK.follow(x, taught, kind="soft", temperature=2.0),
        lambda x: TASK.follow(x, taught, kind="hard", temperature=1.0),
    ):
        assert torch.autograd.gradcheck(loss, outputs)
    smoothed = binary_cross_entropy_with_logits(outputs, torch.where(targets > 0, 0.95, 0.05).double())
    torch.testing.assert_close(TASK.smoothed_loss(outputs, targets, 0.1), smoothed)


def test_agreement_without_labels() -> None:
    outputs, other = (data(seed)[0].double() for seed in (0, 1))
    one, two = TASK.answers(outputs), TASK.answers(other)
    p, q = outputs.sigmoid(), other.sigmoid()
    entropy = binary_cross_entropy(p, p, reduction="none")
    expected = (binary_cross_entropy(q, p, reduction="none") - entropy).sum(1)
    torch.testing.assert_close(TASK.divergence(one, two), expected)
    soft = TASK.follow(other, outputs, kind="soft", temperature=1.0)
    torch.testing.assert_close(soft, expected.mean() / 4)
    torch.testing.assert_close(TASK.agreement(one, two), ((outputs > 0) == (other > 0)).double().mean(1))


def test_gradients_of_draws_tell_the_divergence_that_a_small_change_causes() -> None:
    torch.manual_seed(0)
    outputs, change = torch.randn(1, 5), 0.01 * torch.randn(1, 5)
    expected = TASK.divergence(TASK.answers(outputs.double()), TASK.answers((outputs + change).double()))
    assert told_by_draws(TASK, outputs, change) == pytest.approx(float(expected), rel=0.1)


@pytest.mark.parametrize("targets", [torch.zeros(3), torch.zeros(3, 4), torch.full((3, 5), 2)])
def test_labels_that_do_not_fit(targets: Tensor) -> None:
    with pytest.raises(DataError, match=r"labels \(B, 5\) of 0 and 1"):
        TASK.checked((torch.zeros(3, 1, 4, 4), targets), 5)


def test_labels_may_be_of_any_type() -> None:
    assert (
        build_task("multilabel").checked((torch.zeros(3, 1, 4, 4), torch.ones(3, 5).bool()), 5)[1].dtype is torch.float
    )
