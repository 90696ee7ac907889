import json
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy
from torchmetrics.functional.classification import multiclass_accuracy

from snnet.errors import DataError, RecipeError
from snnet.tasks import Embedding, build_task, describe_task
from tests.helpers.draws import told_by_draws

VECTORS = Embedding()


def data(seed: int = 0, count: int = 60, width: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings, vectors and labels."""
    generator = torch.Generator().manual_seed(seed)
    vectors, labels = torch.randn(count, width, generator=generator), torch.arange(count) % 4
    return vectors + torch.randn(count, width, generator=generator), vectors, labels


def centers(outputs: Tensor, labels: Tensor) -> Tensor:
    units = outputs.double() / outputs.double().norm(dim=1, keepdim=True)
    return torch.stack([units[labels == number].mean(0) for number in range(4)])


def score(task: Embedding, outputs: Tensor, targets: Tensor, parts: int = 7) -> Mapping[str, float]:
    pairs = zip(outputs.split(parts), targets.split(parts), strict=True)
    return task.score(torch.stack([task.statistics(x, y).sum(0) for x, y in pairs]).sum(0), len(outputs))


@pytest.mark.parametrize("parts", [1, 7, 60])
def test_scores_with_vectors(parts: int) -> None:
    outputs, vectors, _ = data()
    cosine = float(cosine_similarity(outputs.double(), vectors.double()).mean())
    assert VECTORS.scores[0] == "cosine" and not VECTORS.counts_hits
    assert score(VECTORS, outputs, vectors, parts) == pytest.approx({"cosine": cosine, "loss": 1 - cosine}, abs=1e-9)


@pytest.mark.parametrize("parts", [1, 7, 60])
def test_scores_with_labels_by_the_nearest_center(parts: int) -> None:
    outputs, train, labels = data()
    middle = centers(train, labels)
    task = VECTORS.centered(zip(train.split(parts), labels.split(parts), strict=True))
    cosines = cosine_similarity(outputs.double()[:, None], middle[None], dim=2)
    nearest = 100 * float(multiclass_accuracy(cosines, labels, 4, average="micro"))
    found = score(task, outputs, labels, parts)
    assert task.scores[0] == "neighbors" and task.counts_hits
    assert found["neighbors"] == pytest.approx(nearest, abs=1e-4) and 25 < nearest < 100
    assert found["cosine"] == pytest.approx(float(cosines.gather(1, labels[:, None]).mean()), abs=1e-6)
    assert found["loss"] == pytest.approx(float(cross_entropy(cosines / 0.1, labels)), abs=1e-5)
    assert torch.equal(task.statistics(outputs, labels)[:, 0] > 0, cosines.argmax(1) == labels)


def test_what_is_not_finite_points_away_and_is_counted() -> None:
    outputs, vectors, labels = data()
    outputs[3] = torch.nan
    for task, targets in ((VECTORS, vectors), (VECTORS.centered([(vectors, labels)]), labels)):
        each = task.statistics(outputs, targets)
        assert task.broken(each.sum(0)) == 1 and "loss" not in task.score(each.sum(0), 60)
        assert each[3, 0] == 0 and each[3, 1] == -1 and each.isfinite().all()


def test_every_loss_has_the_gradient_of_its_definition() -> None:
    outputs, vectors, labels = data(count=4)
    outputs, vectors = outputs.double().requires_grad_(), vectors.double()
    task = VECTORS.centered([(vectors, labels)])
    for loss in (
        lambda x: VECTORS.loss(x, vectors),
        lambda x: task.loss(x, labels),
        lambda x: task.follow(x, vectors, kind="soft", temperature=1.0),
    ):
        assert torch.autograd.gradcheck(loss, outputs)


def test_agreement_without_labels() -> None:
    outputs, vectors, _ = data()
    one, other = VECTORS.answers(outputs), VECTORS.answers(vectors)
    cosines = cosine_similarity(outputs, vectors)
    torch.testing.assert_close(VECTORS.divergence(one, other), 1 - cosines)
    torch.testing.assert_close(VECTORS.agreement(one, other), cosines.clamp(0, 1).double())


def test_gradients_of_draws_tell_the_divergence_that_a_small_change_causes() -> None:
    torch.manual_seed(0)
    outputs, change = torch.randn(1, 6), 0.01 * torch.randn(1, 6)
    expected = VECTORS.divergence(VECTORS.answers(outputs), VECTORS.answers(outputs + change))
    assert told_by_draws(VECTORS, outputs, change) == pytest.approx(float(expected), rel=0.1)


@pytest.mark.parametrize(
    ("task", "targets", "message"),
    [
        (
            VECTORS,
            torch.zeros(3, 5),
            r"vectors \(B, 6\) of floating-point numbers, .* \(3, 5\)",
        ),
        (VECTORS, torch.zeros(3, dtype=torch.long), r"For labels give the task the centers of classes"),
        (Embedding([[1.0] * 6]), torch.zeros(3, 6), r"integer labels \(B,\)"),
        (Embedding([[1.0] * 6]), torch.ones(3, dtype=torch.long), "Label 1 has no center; there are 1 center"),
        (Embedding([[1.0] * 5]), torch.zeros(3, dtype=torch.long), "centers have 5 numbers .* embeddings 6"),
    ],
)
def test_targets_that_do_not_fit(task: Embedding, targets: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        task.checked((torch.zeros(3, 1, 4, 4), targets), 6)


def test_it_goes_by_its_name_and_settings() -> None:
    outputs, _, labels = data()
    task = VECTORS.centered([(outputs, labels)])
    again = build_task(**json.loads(json.dumps(describe_task(task))))
    assert again == task and again.scores == task.scores and build_task("embedding") == VECTORS
    with pytest.raises(RecipeError, match="one length"):
        Embedding([[1.0, 2.0], [1.0]])
    with pytest.raises(RecipeError, match="none of them 0"):
        Embedding([[1.0, 2.0], [0.0, 0.0]])
    with pytest.raises(RecipeError, match="temperature is 0"):
        Embedding(temperature=0)
    with pytest.raises(DataError, match="Class 1 has no image"):
        VECTORS.centered([(outputs[labels != 1], labels[labels != 1])])
