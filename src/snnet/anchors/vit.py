# Tested in tests/anchors/test_families.py.
"""Plain vision transformers: every timm `VisionTransformer`, DeiT's distilled one included; and what others share."""

from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.timm_anchor import TimmAnchor
from snnet.space import FeatureSpec


class PlainViTAnchor(TimmAnchor):
    """A ViT as one stage of equal blocks over class, register and patch tokens."""

    stage_names = ("blocks",)
    last_names = ("norm",)
    head_names = ("attn_pool", "fc_norm", "head", "head_dist")

    def feature(self, block: int) -> FeatureSpec:  # noqa: ARG002
        """Every block of a plain ViT has the same output."""
        height, width = self.model.patch_embed.grid_size
        return FeatureSpec(self.model.embed_dim, "tokens", (height, width), self.model.num_prefix_tokens)


@ANCHORS.register("vit")
class ViTAnchor(PlainViTAnchor):
    """A plain ViT, which has a head without its final norm too, as the published DeiT networks need it."""

    models = (VisionTransformer,)
    model: VisionTransformer

    def stem(self, images: Tensor) -> Tensor:
        """Embed patches, add tokens and positions: `(B, C, H, W)` to `(B, N, C)`."""
        model = self.model
        features: Tensor = model.norm_pre(model.patch_drop(model._pos_embed(model.patch_embed(images))))
        return features

    def head_without_norm(self, features: Tensor) -> Tensor:
        """Apply pooling and the classifier."""
        logits: Tensor = self.model.forward_head(features)
        return logits

    def head_without_norm_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of pooling and the classifiers."""
        norm = {id(p) for p in self.model.norm.parameters()}
        return [p for p in self.head_parameters() if id(p) not in norm]
