# Tested in tests/training/test_distillation.py.
"""Teachers from timm, with the normalization that they were trained with."""

from snnet.anchors import AnchorSource, Renormalize, build_model, input_spec, load_checkpoint
from snnet.space import InputSpec
from snnet.training.distillation import ModelTeacher


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
