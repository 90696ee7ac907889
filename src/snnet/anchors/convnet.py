"""What timm's convolutional networks of stages have in common."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from snnet.anchors.anchor import Anchor
from snnet.anchors.shapes import map_specs
from snnet.anchors.timm_input import input_spec
from snnet.specs import FeatureSpec, InputSpec


class ConvNetAnchor(Anchor):
    """A timm network whose stem is a row of modules and whose stages hold blocks over `(B, C, H, W)`.

    Strides, and the shortcuts that follow them, stand inside the first block of a stage. The image size is timm's
    record, which `pretrained_cfg_overlay={"input_size": (3, 64, 64)}` of `timm.create_model` changes.
    """

    @abstractmethod
    def stem_modules(self) -> Sequence[nn.Module]:
        """Return the modules that the stem runs, in order."""

    @abstractmethod
    def stage_modules(self) -> Sequence[nn.Module]:
        """Return the stages; the children of each are its blocks."""

    @property
    def checkpointing(self) -> bool:
        """Whether blocks keep no activations in training and run again in the backward pass."""
        return bool(getattr(self.model, "grad_checkpointing", False))

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks per stage."""
        return tuple(len(list(stage.children())) for stage in self.stage_modules())

    @property
    def num_classes(self) -> int:
        """Width of the logits; 0 without a classifier."""
        return int(self.model.num_classes)  # type: ignore[arg-type]

    @property
    def input(self) -> InputSpec:
        """The images that the model takes, by timm's own record."""
        first = next(part for module in self.stem_modules() for part in module.modules() if isinstance(part, nn.Conv2d))
        return input_spec(self.model, channels=first.in_channels)

    def feature(self, block: int) -> FeatureSpec:
        """Describe the output of a block; -1 is the output of the stem."""
        return self._specs[block + 1]

    @cached_property
    def _specs(self) -> tuple[FeatureSpec, ...]:
        return map_specs(self, "NCHW")

    def stem(self, images: Tensor) -> Tensor:
        """Run the stem: `(B, C, H, W)` to a smaller `(B, C', H', W')`."""
        for module in self.stem_modules():
            images = module(images)
        return images

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one block, with its stride if it is the first of a stage."""
        block = self._blocks()[index]
        if self.checkpointing and self.training:
            recomputed: Tensor = checkpoint(block, features, use_reentrant=False)
            return recomputed
        output: Tensor = block(features)
        return output

    def head(self, features: Tensor) -> Tensor:
        """Apply pooling and the classifier."""
        logits: Tensor = self.model.forward_head(features)  # type: ignore[operator]
        return logits

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one block."""
        return [self._blocks()[index]]

    def _blocks(self) -> list[nn.Module]:
        return [block for stage in self.stage_modules() for block in stage.children()]
