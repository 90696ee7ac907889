# Tested in tests/anchors/test_families.py.
"""What timm's plain vision transformers have in common: `VisionTransformer`, `Beit` and `Eva`."""

from collections.abc import Iterable

from torch import nn

from snnet.anchors.timm_anchor import TimmAnchor
from snnet.anchors.timm_input import input_spec
from snnet.space import FeatureSpec, InputSpec


class PlainViTAnchor(TimmAnchor):
    """A ViT as one stage of equal blocks over class, register and patch tokens."""

    stage_names = ("blocks",)
    last_names = ("norm",)
    head_names = ("attn_pool", "fc_norm", "head", "head_dist")

    @property
    def input(self) -> InputSpec:
        """The images that the model takes; their size is that of its grid of patches."""
        return input_spec(self.model, size=self.model.patch_embed.img_size)

    def feature(self, block: int) -> FeatureSpec:  # noqa: ARG002
        """Every block of a plain ViT has the same output."""
        height, width = self.model.patch_embed.grid_size
        return FeatureSpec(self.model.embed_dim, "tokens", (height, width), self.model.num_prefix_tokens)

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one transformer block."""
        return [self.model.blocks[index]]
