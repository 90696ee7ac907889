# Tested in tests/anchors/test_families.py.
"""MetaFormers with attention: timm's `MetaFormer` as CAFormer."""

from functools import partial

from timm.models.metaformer import MetaFormer
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS, run_in_turn
from snnet.anchors.timm_anchor import StagedAnchor


@ANCHORS.register("metaformer")
class MetaFormerAnchor(StagedAnchor):
    """A MetaFormer as stages of blocks over `(B, C, H, W)`, with strided convolutions between the stages.

    Blocks of attention, in the later stages, get tokens and give tokens. Between any two blocks there is a map here, so
    that all stages are of one layout, and all are stitched by default, as in the MetaFormers without attention.
    """

    stem_names = ("stem",)
    stitched = slice(None)

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `MetaFormer` with attention; others are chains of modules as they are."""
        return isinstance(model, MetaFormer) and not all(stage.use_nchw for stage in model.stages)

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one block, after the strided convolution that leads into its stage if it is the first."""
        *transition, block = self.block_modules(index)
        maps = self.stage_modules()[self.place(index)[0]].use_nchw
        parts = [*transition, block if maps else partial(_attend, block)]
        return run_in_turn(parts, features, recompute=self.recomputes(index))


def _attend(block: nn.Module, features: Tensor) -> Tensor:
    """Run a block over tokens on a map `(B, C, H, W)`."""
    tokens: Tensor = block(features.flatten(2).transpose(1, 2))
    return tokens.transpose(1, 2).reshape(features.shape)
