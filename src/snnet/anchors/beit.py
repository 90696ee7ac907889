"""BEiT: timm's `Beit`, that is BEiT and BEiT v2."""

from collections.abc import Iterable
from functools import partial

from timm.models.beit import Beit
from torch import Tensor, cat, nn

from snnet.anchors.anchor import ANCHORS, run_in_turn
from snnet.anchors.vit import PlainViTAnchor
from snnet.space import Step


@ANCHORS.register("beit")
class BeitAnchor(PlainViTAnchor):
    """A plain ViT whose attention adds a bias by relative position: one per block, one that all blocks share, or both.

    Every block gathers a shared bias from its table anew, so a route may enter anywhere.
    """

    models = (Beit,)
    model: Beit

    def stem(self, images: Tensor) -> Tensor:
        """Embed patches, add the class token and absolute positions if there are any: `(B, C, H, W)` to `(B, N, C)`."""
        model = self.model
        patches = model.patch_embed(images)
        tokens = cat((model.cls_token.expand(patches.shape[0], -1, -1), patches), dim=1)
        features: Tensor = model.pos_drop(tokens if model.pos_embed is None else tokens + model.pos_embed)
        return features

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one transformer block with the bias that all blocks share, if there is one."""
        shared = self.model.rel_pos_bias
        run = partial(self.model.blocks[index], shared_rel_pos_bias=None if shared is None else shared())
        return run_in_turn([run], features, recompute=self.recomputes(index))

    def chain(self, step: Step) -> tuple[nn.Module, ...] | None:
        """Return the block, which needs nothing beside its features where no bias is shared."""
        plain = step.kind == "block" and self.model.rel_pos_bias is None
        return (self.model.blocks[step.index],) if plain else None

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one transformer block, and the bias by relative position where all blocks share one."""
        return [self.model.blocks[index], *self.present("rel_pos_bias")]
