import math

import pytest
import torch
from torch import nn

from snnet.anchors import Renormalize
from snnet.errors import AnchorError, RecipeError, TrainingError
from snnet.network import SNNet
from snnet.tasks import Classification
from snnet.training import (
    Distillation,
    DistillationSettings,
    ModelTeacher,
    OwnAnchorTeacher,
    StitchLoss,
    anchor_teacher,
    timm_teacher,
)
from snnet.training.distillation import distillation_loss

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]])
TAUGHT = torch.tensor([[0.0, 3.0, 1.0], [1.0, -1.0, 2.0]])
LABELS = torch.tensor([0, 2])


class Fixed(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return TAUGHT


def probabilities(logits: torch.Tensor, temperature: float = 1.0) -> list[list[float]]:
    rows = [[math.exp(value / temperature) for value in row] for row in logits.tolist()]
    return [[value / sum(row) for value in row] for row in rows]


def distill(tiny_net: SNNet, **options: object) -> float:
    part = Distillation(ModelTeacher(Fixed()), DistillationSettings(**options))
    return part(LOGITS, torch.zeros(2, 1, 28, 28), tiny_net.space[0]).item()


def test_hard_is_cross_entropy_with_the_teachers_choice(tiny_net: SNNet) -> None:
    p = probabilities(LOGITS)
    assert distill(tiny_net, kind="hard") == pytest.approx(-(math.log(p[0][1]) + math.log(p[1][2])) / 2)


def test_soft_is_divergence_times_temperature_squared(tiny_net: SNNet) -> None:
    student, teacher = probabilities(LOGITS, 3.0), probabilities(TAUGHT, 3.0)
    rows = [sum(t * math.log(t / s) for s, t in zip(*pair, strict=True)) for pair in zip(student, teacher, strict=True)]
    assert distill(tiny_net, kind="soft", temperature=3.0) == pytest.approx(9 * sum(rows) / 2, rel=1e-5)


def test_loss_mixes_labels_and_teacher(tiny_net: SNNet) -> None:
    loss = StitchLoss(distillation=Distillation(ModelTeacher(Fixed()), DistillationSettings(kind="hard", alpha=0.3)))
    p = probabilities(LOGITS)
    label = -(math.log(p[0][0]) + math.log(p[1][2])) / 2
    expected = 0.7 * label + 0.3 * distill(tiny_net, kind="hard")
    assert loss(LOGITS, LABELS, torch.zeros(2, 1, 28, 28), tiny_net.space[0]).item() == pytest.approx(expected)


def test_smoothing_applies_to_labels_only(tiny_net: SNNet) -> None:
    stitch, images = tiny_net.space[0], torch.zeros(2, 1, 28, 28)
    soft = torch.nn.functional.one_hot(LABELS, 3) * 0.9 + 0.1 / 3
    smoothed = StitchLoss(smoothing=0.1)(LOGITS, LABELS, images, stitch)
    assert torch.allclose(smoothed, StitchLoss()(LOGITS, soft, images, stitch))
    assert torch.equal(
        StitchLoss(smoothing=0.1)(LOGITS, soft, images, stitch), StitchLoss()(LOGITS, soft, images, stitch)
    )


def test_teacher_stays_in_evaluation_without_gradients() -> None:
    teacher = ModelTeacher(nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 3)))
    StitchLoss(distillation=Distillation(teacher)).train()
    assert not any(module.training for module in teacher.modules())
    assert not teacher(torch.zeros(2, 1, 2, 2), None).requires_grad  # type: ignore[arg-type]


def test_anchor_teachers_are_copies_of_before(tiny_net: SNNet) -> None:
    images = torch.randn(2, 1, 28, 28)
    largest, own = anchor_teacher(tiny_net), OwnAnchorTeacher(tiny_net)
    before = [tiny_net(images, number).detach() for number in range(3)]
    with torch.no_grad():
        for parameter in tiny_net.parameters():
            parameter.add_(1.0)
    joined = next(stitch for stitch in tiny_net.space if stitch.anchors == (0, 1))
    assert torch.allclose(largest(images, joined), before[2], atol=1e-6)
    assert torch.allclose(own(images, joined), before[1], atol=1e-6)
    assert torch.allclose(own(images, tiny_net.space[0]), before[0], atol=1e-6)


def test_timm_teacher_sees_its_own_normalization(tiny_net: SNNet) -> None:
    teacher = timm_teacher("resnet10t", input=tiny_net.input, num_classes=10, pretrained=False)
    images = torch.randn(2, 1, 28, 28)
    assert teacher(images, tiny_net.space[0]).shape == (2, 10)
    assert isinstance(teacher.preprocess, Renormalize)
    wanted = (images * tiny_net.input.std[0] + tiny_net.input.mean[0] - 0.449) / 0.226
    assert torch.allclose(teacher.preprocess(images), wanted, atol=1e-5)


def test_bad_teachers_are_refused(tiny_net: SNNet) -> None:
    with pytest.raises(AnchorError, match=r"Did you mean.*'resnet18'"):
        timm_teacher("resnet81", input=tiny_net.input, num_classes=10, pretrained=False)
    with pytest.raises(
        RecipeError, match=r"(?s)2 faults:.*kind: should be 'hard' or 'soft', got 'mild'.*alpha: .*got 2"
    ):
        DistillationSettings(alpha=2, kind="mild")
    with pytest.raises(RecipeError, match="smoothing: should be less than 1, got 1"):
        StitchLoss(smoothing=1)
    with pytest.raises(TrainingError, match=r"\(2, 3\).*\(2, 10\)"):
        Distillation(ModelTeacher(Fixed()))(torch.zeros(2, 10), torch.zeros(2, 1, 28, 28), tiny_net.space[0])


def test_in_place_the_first_stitch_learns_from_labels_and_the_others_from_it(tiny_net: SNNet) -> None:
    stitch, images = tiny_net.space[0], torch.zeros(2, 1, 28, 28)
    teacher = Distillation(ModelTeacher(Fixed()), DistillationSettings(kind="hard", alpha=0.3))
    how = DistillationSettings(kind="soft", alpha=0.8, temperature=2.0)
    loss = StitchLoss(distillation=teacher, in_place=how)
    assert loss(LOGITS, LABELS, images, stitch) == StitchLoss(distillation=teacher)(LOGITS, LABELS, images, stitch)
    first = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]])
    expected = 0.2 * StitchLoss()(LOGITS, LABELS, images, stitch) + 0.8 * distillation_loss(
        LOGITS, first, how, Classification()
    )
    assert torch.equal(loss(LOGITS, LABELS, images, stitch, first), expected)
    # Without in-place distillation every stitch has the same loss.
    assert torch.equal(
        StitchLoss()(LOGITS, LABELS, images, stitch, first), StitchLoss()(LOGITS, LABELS, images, stitch)
    )
    assert loss.describe()["in_place"] == {"kind": "soft", "alpha": 0.8, "temperature": 2.0}
    assert "in_place" not in StitchLoss(distillation=teacher).describe()
