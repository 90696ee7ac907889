"""What all families of timm models have in common."""

from functools import cached_property
from typing import Any

from torch import Tensor, nn

from snnet.anchors.anchor import Anchor, run_in_turn
from snnet.anchors.shapes import map_specs
from snnet.anchors.timm_input import input_spec
from snnet.space import FeatureSpec, InputSpec, Layout, Step


class TimmAnchor(Anchor):
    """A timm model with blocks over feature maps and a `forward_head`; families override what theirs do otherwise.

    The image size is timm's record, which `pretrained_cfg_overlay={"input_size": (3, 64, 64)}` of `timm.create_model`
    changes.
    """

    model: Any  # timm's stages and blocks have no types of their own
    layout: Layout = "NCHW"

    @property
    def num_classes(self) -> int:
        """Width of the logits; 0 without a classifier."""
        return int(self.model.num_classes)

    @property
    def input(self) -> InputSpec:
        """The images that the model takes, by timm's own record."""
        return input_spec(self.model)

    def feature(self, block: int) -> FeatureSpec:
        """Describe the output of a block; -1 is the output of the stem."""
        return self._specs[block + 1]

    @cached_property
    def _specs(self) -> tuple[FeatureSpec, ...]:
        return map_specs(self, self.layout)

    @property
    def checkpointing(self) -> bool:
        """Whether timm's switch is on by which blocks keep no activations in training and run again."""
        return bool(getattr(self.model, "grad_checkpointing", False))

    def recomputes(self, index: int) -> bool:  # noqa: ARG002
        """Tell whether a block, as things are, runs again in the backward pass."""
        return self.training and self.checkpointing

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one block, with what leads into its stage if it is the first."""
        return run_in_turn(self.block_modules(index), features, recompute=self.recomputes(index))

    def chain(self, step: Step) -> tuple[nn.Module, ...] | None:
        """Return a block, after what leads into its stage; None where a family does more than run them."""
        plain = step.kind == "block" and type(self).block is TimmAnchor.block
        return tuple(self.block_modules(step.index)) if plain else None

    def head(self, features: Tensor) -> Tensor:
        """Apply pooling and the classifier."""
        logits: Tensor = self.model.forward_head(features)
        return logits

    def present(self, *names: str) -> list[nn.Module]:
        """Return the modules of these names, as far as the variant at hand has them."""
        found = (getattr(self.model, name, None) for name in names)
        return [module for module in found if module is not None]
