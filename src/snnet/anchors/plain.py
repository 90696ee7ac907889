"""What timm's plain vision transformers have in common: `VisionTransformer` and `Eva`."""

from collections.abc import Iterable

from torch import Tensor, nn

from snnet.anchors.timm_anchor import TimmAnchor
from snnet.anchors.timm_input import input_spec
from snnet.space import FeatureSpec, InputSpec


class PlainViTAnchor(TimmAnchor):
    """A ViT as one stage of equal blocks over class, register and patch tokens."""

    @property
    def depths(self) -> tuple[int, ...]:
        """One stage of all blocks."""
        return (len(self.model.blocks),)

    @property
    def input(self) -> InputSpec:
        """The images that the model takes; their size is that of its grid of patches."""
        return input_spec(self.model, size=self.model.patch_embed.img_size)

    def feature(self, block: int) -> FeatureSpec:  # noqa: ARG002
        """Every block of a plain ViT has the same output."""
        height, width = self.model.patch_embed.grid_size
        return FeatureSpec(self.model.embed_dim, "tokens", (height, width), self.model.num_prefix_tokens)

    def head(self, features: Tensor) -> Tensor:
        """Apply the final norm, pooling and the classifier."""
        return super().head(self.model.norm(features))

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one transformer block."""
        return [self.model.blocks[index]]

    def head_modules(self) -> Iterable[nn.Module]:
        """Return norms, attention pooling and classifiers, as far as the variant has them."""
        return self.present("norm", "attn_pool", "fc_norm", "head", "head_dist")
