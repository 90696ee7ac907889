# Tested in tests/anchors/test_families.py.
"""What timm's hierarchical models have in common whose stages know the way into them: Swin, LeViT and ConvNeXt."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from snnet.anchors.timm_anchor import TimmAnchor


class StagedAnchor(TimmAnchor):
    """A timm model whose stages hold their `blocks`, and a `downsample` that runs before the first of them."""

    stages_in = "stages"

    @property
    def stages(self) -> tuple[int, ...]:
        """All but the last, as in the published networks of Swin and of LeViT."""
        return tuple(range(len(self.depths) - 1))

    def recomputes(self, index: int) -> bool:
        """Tell whether a block runs again in the backward pass; a stage may hold a switch of its own."""
        stage = self.stage_modules()[self.place(index)[0]]
        return self.training and bool(getattr(stage, "grad_checkpointing", self.checkpointing))

    def blocks_of(self, stage: Any) -> list[nn.Module]:
        """Return the blocks of a stage, in order."""
        return list(stage.blocks)

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one block, with the way into its stage before the first."""
        number, position = self.place(index)
        stage = self.stage_modules()[number]
        block = stage.blocks[position]
        return [block] if position else [stage.downsample, block]
