"""Teachers, and the part of the loss that follows them."""

from abc import ABC, abstractmethod
from copy import deepcopy

import torch
from torch import Tensor, nn

from snnet.anchors import AnchorSource, Renormalize, build_model, input_spec, load_checkpoint
from snnet.errors import TrainingError
from snnet.network import SNNet
from snnet.space import InputSpec, Stitch, StitchSpace
from snnet.tasks import Classification, Task
from snnet.training.checkpoint import content_digest
from snnet.training.settings import DistillationSettings


class Teacher(nn.Module, ABC):
    """Gives the outputs that a stitch should follow; always in evaluation mode and without gradients."""

    @abstractmethod
    def logits(self, images: Tensor, stitch: Stitch) -> Tensor:
        """Return outputs, as the network's, of `images` `(B, C, H, W)`, normalized as the network receives them."""

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
        model: Any model that gives what the network gives; it must share no weights with the network.
        preprocess: Applied to the images first, where the model wants another normalization or size.
    """

    def __init__(self, model: nn.Module, preprocess: nn.Module | None = None) -> None:
        super().__init__()
        self.preprocess = preprocess or nn.Identity()
        self.model = model
        self.eval()

    def logits(self, images: Tensor, stitch: Stitch) -> Tensor:  # noqa: ARG002
        """Return the model's outputs."""
        logits: Tensor = self.model(self.preprocess(images))
        return logits


class OwnAnchorTeacher(Teacher):
    """Each stitch is taught by the largest anchor on its own route, as that anchor was before training.

    Args:
        net: The network before training; its anchors are copied, with all of it where routes end with a head over maps.
    """

    def __init__(self, net: SNNet) -> None:
        super().__init__()
        self.routes = list(StitchSpace.through(net.space.depths))
        whole = [deepcopy(net)] if net.has_head else []
        self.whole = nn.ModuleList(whole)
        self.originals = nn.ModuleList(deepcopy(anchor) for anchor in net.anchors if not whole)
        self.eval()

    def logits(self, images: Tensor, stitch: Stitch) -> Tensor:
        """Return the outputs of the largest anchor of `stitch`: anchors are numbered in order of cost."""
        number = max(stitch.anchors)
        logits: Tensor = self.whole[0](images, self.routes[number]) if self.whole else self.originals[number](images)
        return logits


def anchor_teacher(net: SNNet, index: int = -1) -> ModelTeacher:
    """Return a teacher made of anchor `index` (the largest by default) as it is now, copied."""
    if net.has_head:
        route = StitchSpace.through(net.space.depths)[range(len(net.anchors))[index]]
        return ModelTeacher(deepcopy(net).at(route))
    return ModelTeacher(deepcopy(list(net.anchors)[index]))


def timm_teacher(
    name: str, *, input: InputSpec, num_classes: int, pretrained: bool = True, checkpoint: str | None = None
) -> ModelTeacher:
    """Return any timm model as teacher of a network that receives images as `input` says.

    Args:
        name: A timm model name, such as `regnety_160.deit_in1k` (the paper's), or `hf-hub:ORG/NAME`.
        input: What the network receives (`net.input`); the images keep its size.
        num_classes: Classes of the network.
        pretrained: Take the published weights; ignored if there is a `checkpoint`.
        checkpoint: A local `.safetensors` or `.pth` file of weights.

    Raises:
        AnchorError: If timm does not know the name or its weights cannot be had.
        CheckpointError: If the file is missing, corrupt, or of another architecture.
    """
    channels, *size = input.size
    source = AnchorSource.of(name, pretrained, checkpoint, num_classes=num_classes, in_chans=channels)
    model = build_model(source)
    if checkpoint is not None:
        load_checkpoint(model, checkpoint)
    wanted = input_spec(model, channels=channels, size=size)
    return ModelTeacher(model, None if wanted.normalized_like(input) else Renormalize(input, wanted))


def distillation_loss(outputs: Tensor, taught: Tensor, how: DistillationSettings, task: Task) -> Tensor:
    """Return the scalar loss of `outputs` against `taught`, of one shape, as the task has it."""
    return task.follow(outputs, taught, kind=how.kind, temperature=how.temperature)


def described(how: DistillationSettings) -> dict[str, object]:
    """Return the settings of the loss alone, without what a section says of its teacher."""
    return how.model_dump(include=set(DistillationSettings.model_fields))


class Distillation(nn.Module):
    """The distillation part of the loss: a teacher, and how it is followed.

    Args:
        teacher: Gives the outputs to follow.
        how: Kind, weight and temperature.
    """

    def __init__(self, teacher: Teacher, how: DistillationSettings | None = None) -> None:
        super().__init__()
        self.how = how or DistillationSettings()
        self.teacher = teacher

    def describe(self) -> dict[str, object]:
        """Return what distinguishes this part, the teacher's weights by their checksum."""
        return {
            **described(self.how),
            "teacher": f"{type(self.teacher).__name__} {content_digest(self.teacher.state_dict())}",
        }

    def forward(self, logits: Tensor, images: Tensor, stitch: Stitch, task: Task | None = None) -> Tensor:
        """Return the scalar distillation loss.

        Args:
            logits: What the network gives, `(B, ...)`.
            images: `(B, C, H, W)`, what it received.
            stitch: The route that gave it.
            task: What outputs mean; one class for each image if None.
        """
        taught = self.teacher(images, stitch).float()
        if taught.shape != logits.shape:
            raise TrainingError(
                f"The teacher gives outputs of shape {tuple(taught.shape)} and the network {tuple(logits.shape)}; "
                "both must know the same classes."
            )
        return distillation_loss(logits, taught, self.how, task or Classification())
