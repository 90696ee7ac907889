"""Teachers from timm, with the normalization that they were trained with."""

import torch
from torch import Tensor, nn

from snnet.anchors import AnchorSource, InputSpec, build_model, input_spec, load_checkpoint
from snnet.training.distillation import ModelTeacher


class Renormalize(nn.Module):
    """Turns images normalized for one model into images normalized for another.

    Args:
        source: How the images are normalized.
        target: How they shall be.
    """

    def __init__(self, source: InputSpec, target: InputSpec) -> None:
        super().__init__()
        mean_in, std_in, mean_out, std_out = (
            torch.tensor(values)[:, None, None] for values in (source.mean, source.std, target.mean, target.std)
        )
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", std_in / std_out)
        self.register_buffer("shift", (mean_in - mean_out) / std_out)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(B, C, H, W)`."""
        return images * self.scale + self.shift


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
    same = (wanted.mean, wanted.std) == (input.mean, input.std)
    return ModelTeacher(model, None if same else Renormalize(input, wanted))
