"""XCiT: timm's `Xcit`, cross-covariance image transformers."""

from fnmatch import fnmatch
from functools import partial

from timm.models.xcit import Xcit
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS, run_in_turn
from snnet.anchors.timm_anchor import TimmAnchor


@ANCHORS.register("xcit")
class XcitAnchor(TimmAnchor):
    """An XCiT as one stage of equal blocks over `(B, H, W, C)`; the class token enters in the head.

    The blocks of class attention, after all others, gather for the class token, and belong to the head.
    """

    models = (Xcit,)
    layout = "NHWC"
    stage_names = ("blocks",)
    head_names = ("cls_attn_blocks", "norm", "head")

    def stem(self, images: Tensor) -> Tensor:
        """Embed patches and add positions: `(B, C, H, W)` to `(B, H', W', C')`."""
        model = self.model
        tokens, grid = model.patch_embed(images)
        features: Tensor = tokens.reshape(tokens.shape[0], *grid, -1)
        if model.pos_embed is not None:
            features = features + model.pos_embed(1, *grid).permute(0, 2, 3, 1)
        entered: Tensor = model.pos_drop(features)
        return entered

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one block, which is told the grid of its tokens."""
        run = partial(_attend, self.model.blocks[index])
        return run_in_turn([run], features, recompute=self.recomputes(index))

    def head(self, features: Tensor) -> Tensor:
        """Add the class token, run class attention, and apply the final norm, pooling and the classifier."""
        return super().head(self.model.norm(self.model.forward_cls(features.flatten(1, 2))))

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the class token too, which is in no module of its own."""
        return [self.model.cls_token, *super().head_parameters()]

    def no_weight_decay(self) -> set[str]:
        """Return the names that the model excludes from weight decay, some of which it gives as patterns."""
        patterns = super().no_weight_decay()
        return {name for name, _ in self.model.named_parameters() if any(fnmatch(name, each) for each in patterns)}


def _attend(block: nn.Module, features: Tensor) -> Tensor:
    tokens: Tensor = block(features.flatten(1, 2), *features.shape[1:3])
    return tokens.reshape(features.shape)
