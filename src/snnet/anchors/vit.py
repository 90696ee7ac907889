"""Plain vision transformers: every timm `VisionTransformer`, DeiT's distilled one included."""

from collections.abc import Iterable

from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS, Anchor, run_in_turn
from snnet.anchors.timm_input import input_spec
from snnet.specs import FeatureSpec, InputSpec


@ANCHORS.register("vit")
class ViTAnchor(Anchor):
    """A plain ViT as one stage of equal blocks over class, register and patch tokens."""

    model: VisionTransformer

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a timm `VisionTransformer`."""
        return isinstance(model, VisionTransformer)

    @property
    def depths(self) -> tuple[int, ...]:
        """One stage of all blocks."""
        return (len(self.model.blocks),)

    @property
    def num_classes(self) -> int:
        """Width of the logits; 0 without a classifier."""
        return int(self.model.num_classes)

    @property
    def input(self) -> InputSpec:
        """The images that the model takes, by timm's own record."""
        patches = self.model.patch_embed
        # In hybrids a CNN stands before the projection, so the first convolution takes the image.
        first = next(module for module in patches.modules() if isinstance(module, nn.Conv2d))
        return input_spec(self.model, channels=first.in_channels, size=patches.img_size)

    def feature(self, block: int) -> FeatureSpec:  # noqa: ARG002
        """Every block of a plain ViT has the same output."""
        height, width = self.model.patch_embed.grid_size
        return FeatureSpec(self.model.embed_dim, "tokens", (height, width), self.model.num_prefix_tokens)

    def stem(self, images: Tensor) -> Tensor:
        """Embed patches, add tokens and positions: `(B, C, H, W)` to `(B, N, C)`."""
        model = self.model
        features: Tensor = model.norm_pre(model.patch_drop(model._pos_embed(model.patch_embed(images))))
        return features

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one transformer block."""
        recompute = self.model.grad_checkpointing and self.training
        return run_in_turn([self.model.blocks[index]], features, recompute=recompute)

    def head(self, features: Tensor) -> Tensor:
        """Apply the final norm, pooling and the classifier."""
        logits: Tensor = self.model.forward_head(self.model.norm(features))
        return logits

    def head_without_norm(self, features: Tensor) -> Tensor:
        """Apply pooling and the classifier."""
        logits: Tensor = self.model.forward_head(features)
        return logits

    def bare_head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of pooling and the classifiers."""
        norm = {id(p) for p in self.model.norm.parameters()}
        return [p for p in self.head_parameters() if id(p) not in norm]

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one transformer block."""
        return [self.model.blocks[index]]

    def head_modules(self) -> Iterable[nn.Module]:
        """Return norm, attention pooling and classifiers, as far as the variant has them."""
        names = ("norm", "attn_pool", "fc_norm", "head", "head_dist")
        found = (getattr(self.model, name, None) for name in names)
        return [module for module in found if module is not None]
