# Tested in tests/training/test_distillation.py.
"""The loss of one stitch: labels, and a teacher where there is one."""

from torch import Tensor, nn

from snnet.errors import RecipeError
from snnet.network import SNNet
from snnet.space import Stitch
from snnet.tasks import Classification, Task, describe_task
from snnet.training.distillation import (
    Distillation,
    OwnAnchorTeacher,
    Teacher,
    anchor_teacher,
    described,
    distillation_loss,
    timm_teacher,
)
from snnet.training.settings import IN_PLACE, DistillationSettings, LossSettings, TeacherSettings


class StitchLoss(nn.Module):
    """`(1 - alpha) * label loss + alpha * distillation` (Stitchable Neural Networks, algorithm 1).

    With in-place distillation (arXiv 1903.05134, section 3.3) the first stitch of a step is the teacher of the
    others: it learns from labels, and from a teacher where there is one; the others follow its logits on the same
    images. Samplers that draw several stitches draw the largest first.

    Args:
        smoothing: Label smoothing of integer labels. Soft targets, as mixup makes them, are taken as they are:
            give the smoothing to `timm.data.Mixup` then.
        distillation: The teacher's part, with its weight alpha; None for labels alone.
        in_place: How the other stitches of a step follow the first, in place of `distillation`.
        task: What outputs and targets mean; one class for each image if None.
    """

    def __init__(
        self,
        *,
        smoothing: float = LossSettings().smoothing,
        distillation: Distillation | None = None,
        in_place: DistillationSettings | None = None,
        task: Task | None = None,
    ) -> None:
        super().__init__()
        self.task = task or Classification()
        self.smoothing = LossSettings(smoothing=smoothing).smoothing
        self.distillation = distillation
        self.in_place = in_place

    def forward(
        self,
        logits: Tensor,
        targets: Tensor,
        images: Tensor,
        stitch: Stitch,
        first: Tensor | None = None,
        *,
        scale: float = 1.0,
    ) -> Tensor:
        """Return the scalar loss.

        Args:
            logits: What the network gives, `(B, classes)` or as its task has it.
            targets: Labels `(B,)`, or probabilities `(B, classes)`; or what the task has for targets.
            images: `(B, C, H, W)`, what the network received; the teacher receives the same.
            stitch: The route that gave the logits.
            first: What the first stitch of the step gave for these images, without gradients; None
                for that stitch itself.
            scale: Of the part of the targets, where these images have more or less of them than others of the step.
        """
        logits = logits.float()
        label_loss = scale * self.task.smoothed_loss(logits, targets, self.smoothing)
        if self.in_place is not None and first is not None:
            return _mixed(label_loss, distillation_loss(logits, first.float(), self.in_place, self.task), self.in_place)
        if self.distillation is None:
            return label_loss
        followed = self.distillation(logits, images, stitch, self.task)
        return _mixed(label_loss, followed, self.distillation.how)

    def describe(self) -> dict[str, object]:
        """Return what distinguishes this loss; a run resumes only with an equal description."""
        part = self.distillation
        facts: dict[str, object] = {
            "smoothing": self.smoothing,
            "distillation": None if part is None else part.describe(),
        }
        if type(self.task) is not Classification:
            facts["task"] = describe_task(self.task)
        return facts if self.in_place is None else {**facts, "in_place": described(self.in_place)}


def _mixed(label_loss: Tensor, distillation: Tensor, how: DistillationSettings) -> Tensor:
    return (1 - how.alpha) * label_loss + how.alpha * distillation


def build_loss(settings: LossSettings, net: SNNet, *, new_heads: bool = False) -> StitchLoss:
    """Return the loss of a network with its teacher; one that is made of anchors is copied as it is now.

    Args:
        settings: What is minimized.
        net: The network, before training.
        new_heads: Whether the anchors' classifiers are fresh, and cannot teach.

    Raises:
        RecipeError: If the teacher is an anchor with a fresh classifier.
        SNNetError: If a timm teacher or its weights cannot be had.
    """

    def part(section: TeacherSettings | None) -> Distillation | None:
        return None if section is None else Distillation(_teacher(section, net, new_heads=new_heads), section)

    teacher = settings.teacher
    if teacher is None or teacher.source != IN_PLACE:
        return StitchLoss(smoothing=settings.smoothing, distillation=part(teacher), task=net.task)
    first = part(settings.first_teacher)
    return StitchLoss(smoothing=settings.smoothing, distillation=first, in_place=teacher, task=net.task)


def _teacher(section: TeacherSettings, net: SNNet, *, new_heads: bool) -> Teacher:
    if section.source in ("own-anchors", "largest-anchor"):
        if new_heads:
            raise RecipeError(
                f"loss.teacher.source is {section.source!r}, but the anchors' classifiers are new and know nothing "
                "yet; set loss.teacher to null, or name another teacher."
            )
        return OwnAnchorTeacher(net) if section.source == "own-anchors" else anchor_teacher(net)
    return timm_teacher(
        section.source,
        input=net.input,
        num_classes=net.num_classes,
        pretrained=section.pretrained,
        checkpoint=str(section.checkpoint) if section.checkpoint else None,
    )
