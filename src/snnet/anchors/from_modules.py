"""Any model as an anchor, by naming its modules."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from snnet.anchors.anchor import Anchor
from snnet.anchors.modules import read_input, read_layout, read_segments
from snnet.anchors.segments import SegmentedAnchor
from snnet.space import InputSpec, Layout


def anchor_from_modules(
    model: nn.Module,
    *,
    stem: Sequence[Any],
    stages: Sequence[Any],
    head: Sequence[Any],
    input: InputSpec | tuple[int, int, int],
    num_classes: int | None = None,
    name: str | None = None,
    layout: Layout = "NCHW",
    prefix_tokens: int = 0,
    grid: tuple[int, int] | None = None,
) -> Anchor:
    """Show any model as an anchor by naming its modules, proven on a sample to give the model's forward pass.

    Entries are paths of modules (`"layer1.0"`) or functions from tensor to tensor (`lambda x: x.mean((2, 3))`),
    run in order. A function must not hold parameters: costs and training know those of named modules only.

    Args:
        model: The built model; it is viewed, never copied or changed.
        stem: Entries from images to what the first block receives.
        stages: For each stage the path of a `Sequential` or `ModuleList`, whose children are its blocks, or a list
            of blocks. A block is an entry, or a list of entries where a transition comes before it.
        head: Entries from the last block's output to logits.
        input: Size and normalization of the images; `(C, H, W)` alone means pixels from 0 to 1.
        num_classes: Width of the logits, checked against what the model gives.
        name: What tables and charts call it; the name of the class if None.
        layout: Of features with four axes, `NCHW` or `NHWC`.
        prefix_tokens: Class and register tokens before the grid, for features `(B, N, C)`.
        grid: Height and width of the grid of tokens; square if None.

    Returns:
        The anchor, which shares the model's weights.

    Raises:
        AnchorError: If a module does not exist, the segments do not give the model's forward pass (the first
            that differs is named), or features or logits are not as `layout` and `num_classes` say.

    Example:
        >>> anchor = snnet.anchor_from_modules(
        ...     torchvision.models.resnet18(),
        ...     stem=["conv1", "bn1", "relu", "maxpool"],
        ...     stages=["layer1", "layer2", "layer3", "layer4"],
        ...     head=["avgpool", lambda x: x.flatten(1), "fc"],
        ...     input=(3, 224, 224),
        ... )
    """
    name = name or type(model).__name__
    anchor = SegmentedAnchor(
        model,
        name,
        read_segments(model, name, stem, stages, head),
        read_input(input),
        num_classes=num_classes,
        layout=read_layout(layout),
        prefix_tokens=prefix_tokens,
        grid=grid,
    )
    anchor.feature(-1)  # Says at once which features have another layout.
    return anchor
