"""Teachers, and the part of the loss that follows them."""

from abc import ABC, abstractmethod
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from snnet.errors import RecipeError, TrainingError
from snnet.network import SNNet
from snnet.space import Stitch
from snnet.training.checkpoint import content_digest

DistillationKind = Literal["hard", "soft"]


class Teacher(nn.Module, ABC):
    """Gives the logits that a stitch should follow; always in evaluation mode and without gradients."""

    @abstractmethod
    def logits(self, images: Tensor, stitch: Stitch) -> Tensor:
        """Return logits `(B, classes)` of `images` `(B, C, H, W)`, normalized as the network receives them."""

    @torch.no_grad()
    def forward(self, images: Tensor, stitch: Stitch) -> Tensor:
        """Return `logits` without gradients."""
        return self.logits(images, stitch)

    def train(self, mode: bool = True) -> "Teacher":  # noqa: ARG002
        """Stay in evaluation mode, whatever the module that holds the teacher does."""
        super().train(False)
        return self


class ModelTeacher(Teacher):
    """One model teaches every stitch.

    Args:
        model: Any classifier of the network's classes; it must share no weights with the network.
        preprocess: Applied to the images first, where the model wants another normalization or size.
    """

    def __init__(self, model: nn.Module, preprocess: nn.Module | None = None) -> None:
        super().__init__()
        self.preprocess = preprocess or nn.Identity()
        self.model = model
        self.eval()

    def logits(self, images: Tensor, stitch: Stitch) -> Tensor:  # noqa: ARG002
        """Return the model's logits."""
        logits: Tensor = self.model(self.preprocess(images))
        return logits


class OwnAnchorTeacher(Teacher):
    """Each stitch is taught by the dearest anchor on its own route, as that anchor was before training.

    Args:
        net: The network before training; its anchors are copied.
    """

    def __init__(self, net: SNNet) -> None:
        super().__init__()
        self.originals = nn.ModuleList(deepcopy(anchor) for anchor in net.anchors)
        self.eval()

    def logits(self, images: Tensor, stitch: Stitch) -> Tensor:
        """Return the logits of the dearest anchor of `stitch`: anchors are numbered in order of cost."""
        logits: Tensor = self.originals[max(stitch.anchors)](images)
        return logits


def anchor_teacher(net: SNNet, index: int = -1) -> ModelTeacher:
    """Return a teacher made of anchor `index` (the largest by default) as it is now, copied."""
    return ModelTeacher(deepcopy(list(net.anchors)[index]))


@dataclass(frozen=True, kw_only=True)
class Following:
    """How a stitch follows the logits that it is taught.

    Hard: cross-entropy with the teacher's most likely class (DeiT, arXiv 2012.12877, eq. 3). Soft: KL divergence
    between the softened distributions, averaged over images and multiplied by the temperature squared
    (Hinton et al., arXiv 1503.02531).

    Attributes:
        kind: `hard` or `soft`.
        alpha: Weight of this part of the loss, from 0 to 1; the label loss has the rest.
        temperature: Softens both distributions; only for `soft`.

    Raises:
        RecipeError: If a value is out of range.
    """

    kind: DistillationKind = "hard"
    alpha: float = 0.5
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("hard", "soft"):
            raise RecipeError(f"Distillation kind {self.kind!r} is unknown; accepted: 'hard', 'soft'.")
        if not 0.0 <= self.alpha <= 1.0:
            raise RecipeError(f"Distillation alpha is {self.alpha}; it is a weight from 0 to 1.")
        if not self.temperature > 0.0:
            raise RecipeError(f"Distillation temperature is {self.temperature}; it must be above 0.")

    def distance(self, logits: Tensor, taught: Tensor) -> Tensor:
        """Return the scalar loss of `logits` against `taught`, both `(B, classes)`."""
        if self.kind == "hard":
            return cross_entropy(logits, taught.argmax(dim=1))
        student = log_softmax(logits / self.temperature, dim=1)
        target = log_softmax(taught / self.temperature, dim=1)
        return kl_div(student, target, reduction="batchmean", log_target=True) * self.temperature**2

    def mix(self, label_loss: Tensor, distance: Tensor) -> Tensor:
        """Return `(1 - alpha) * label loss + alpha * distance` (Stitchable Neural Networks, algorithm 1)."""
        return (1 - self.alpha) * label_loss + self.alpha * distance


class Distillation(nn.Module):
    """The distillation part of the loss: a teacher, and how it is followed.

    Args:
        teacher: Gives the logits to follow.
        kind: As in `Following`, like the other two.
        alpha: Weight of this part, from 0 to 1; the label loss has the rest.
        temperature: Softens both distributions.

    Raises:
        RecipeError: If a value is out of range.
    """

    def __init__(
        self, teacher: Teacher, *, kind: DistillationKind = "hard", alpha: float = 0.5, temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.following = Following(kind=kind, alpha=alpha, temperature=temperature)
        self.teacher = teacher

    def describe(self) -> dict[str, object]:
        """Return what distinguishes this part, the teacher's weights by their checksum."""
        return {
            **asdict(self.following),
            "teacher": f"{type(self.teacher).__name__} {content_digest(self.teacher.state_dict())}",
        }

    def forward(self, logits: Tensor, images: Tensor, stitch: Stitch) -> Tensor:
        """Return the scalar distillation loss of `logits` `(B, classes)`."""
        taught = self.teacher(images, stitch).float()
        if taught.shape != logits.shape:
            raise TrainingError(
                f"The teacher gives logits of shape {tuple(taught.shape)} and the network {tuple(logits.shape)}; "
                "both must know the same classes."
            )
        return self.following.distance(logits, taught)
