"""ConvNeXt and ConvNeXt-V2: timm's `ConvNeXt`."""

from collections.abc import Iterable
from typing import Any

from timm.layers import Conv2dSame
from timm.models.convnext import ConvNeXt
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS, Anchor, run_in_turn
from snnet.anchors.timm_input import input_spec
from snnet.specs import FeatureSpec, InputSpec


@ANCHORS.register("convnext")
class ConvNeXtAnchor(Anchor):
    """A ConvNeXt as stages of depthwise convolution blocks over `(B, C, H, W)`, with strided convolutions between."""

    model: Any  # timm's stages and blocks have no types of their own

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `ConvNeXt`."""
        return isinstance(model, ConvNeXt)

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks per stage."""
        return tuple(len(stage.blocks) for stage in self.model.stages)

    @property
    def stages(self) -> tuple[int, ...]:
        """All but the last, as for Swin, whose stages these are."""
        return tuple(range(len(self.depths) - 1))

    @property
    def num_classes(self) -> int:
        """Width of the logits; 0 without a classifier."""
        return int(self.model.num_classes)

    @property
    def input(self) -> InputSpec:
        """The images that the model takes, by timm's own record.

        The model itself runs on any size; `pretrained_cfg_overlay={"input_size": (3, 160, 160)}`, an argument of
        `timm.create_model`, records another.
        """
        first = next(module for module in self.model.stem.modules() if isinstance(module, nn.Conv2d))
        size = (self.model.pretrained_cfg or {}).get("input_size", (3, 224, 224))[1:]
        return input_spec(self.model, channels=first.in_channels, size=size)

    def feature(self, block: int) -> FeatureSpec:
        """All blocks of a stage have one output; the stem's is that before the first stage's own strided layer."""
        grid = _grid_after(self.model.stem, self.input.size[1:])
        if block < 0:
            return FeatureSpec(self._channels(self.model.stem), "NCHW", grid)
        number = self.place(block)[0]
        for stage in self.model.stages[: number + 1]:
            grid = _grid_after(stage.downsample, grid)
        return FeatureSpec(self.model.stages[number].blocks[0].conv_dw.out_channels, "NCHW", grid)

    def stem(self, images: Tensor) -> Tensor:
        """Run the convolutions and the norm of the stem: `(B, C, H, W)` to `(B, C', H', W')`."""
        features: Tensor = self.model.stem(images)
        return features

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one block, after the norm and convolution that lead into its stage if it is the first."""
        stage = self.model.stages[self.place(index)[0]]
        recompute = stage.grad_checkpointing and self.training
        return run_in_turn(self.block_modules(index), features, recompute=recompute)

    def head(self, features: Tensor) -> Tensor:
        """Apply pooling, the final norm and the classifier, in the order that the variant has."""
        logits: Tensor = self.model.forward_head(self.model.norm_pre(features))
        return logits

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one block, with the way into its stage before the first."""
        number, position = self.place(index)
        stage = self.model.stages[number]
        block = stage.blocks[position]
        return [block] if position else [stage.downsample, block]

    def head_modules(self) -> Iterable[nn.Module]:
        """Return the final norm, as far as it stands before the pooling, and the head."""
        return [self.model.norm_pre, self.model.head]

    @staticmethod
    def _channels(module: nn.Module) -> int:
        return [part.out_channels for part in module.modules() if isinstance(part, nn.Conv2d)][-1]


def _grid_after(module: nn.Module, grid: tuple[int, int]) -> tuple[int, int]:
    """Return height and width after all convolutions of a module, which stand in a row."""
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d):
            grid = (_side_after(conv, 0, grid[0]), _side_after(conv, 1, grid[1]))
    return grid


def _side_after(conv: nn.Conv2d, axis: int, side: int) -> int:
    stride = conv.stride[axis]
    if isinstance(conv, Conv2dSame):
        return -(-side // stride)
    assert not isinstance(conv.padding, str), "timm pads by numbers"
    reach = conv.dilation[axis] * (conv.kernel_size[axis] - 1)
    return (side + 2 * conv.padding[axis] - reach - 1) // stride + 1
