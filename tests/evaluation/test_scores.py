"""Top-1, top-5 and loss, summed over batches: `Scores`."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from snnet.evaluation import Scores


def test_scores_equal_a_count_by_hand_over_uneven_batches():
    logits, labels = torch.randn(50, 10), torch.randint(10, (50,))
    scores = Scores()
    for part in (slice(0, 32), slice(32, 50)):
        scores.add(logits[part], labels[part])
    values, broken = scores.result()
    rank = (logits > logits.gather(1, labels[:, None])).sum(1)
    assert broken == 0
    assert values["top1"] == pytest.approx(100 * (rank < 1).float().mean().item())
    assert values["top5"] == pytest.approx(100 * (rank < 5).float().mean().item())
    assert values["loss"] == pytest.approx(cross_entropy(logits, labels).item(), rel=1e-6)


@pytest.mark.parametrize("classes", [1, 2, 4, 5])
def test_with_up_to_five_classes_top5_is_over_all_of_them(classes):
    scores = Scores()
    scores.add(torch.randn(6, classes), torch.randint(classes, (6,)))
    assert scores.result()[0]["top5"] == 100


def test_images_without_a_finite_loss_are_wrong_and_counted():
    logits = torch.eye(4)
    logits[0, 0], logits[1, 2] = float("nan"), float("inf")
    scores = Scores()
    scores.add(logits, torch.arange(4))
    assert scores.result() == ({"top1": 50.0, "top5": 50.0}, 2)


def test_masked_classes_are_no_fault():
    logits = torch.tensor([[2.0, 1.0, -torch.inf]])
    scores = Scores()
    scores.add(logits, torch.tensor([0]))
    values, broken = scores.result()
    assert broken == 0
    assert values["loss"] == pytest.approx(0.3133, abs=1e-4)
