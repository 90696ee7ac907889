"""Vision transformers with rotary position embedding: every timm `Eva`, that is EVA, EVA-02, RoPE-ViT and DINOv3."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from timm.layers import get_mixed_freqs
from timm.models.eva import Eva
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS, AnchorSource, run_in_turn
from snnet.anchors.vit import PlainViTAnchor
from snnet.errors import AnchorError


@ANCHORS.register("eva")
class EvaAnchor(PlainViTAnchor):
    """A plain ViT whose blocks rotate queries and keys by position.

    Every block works out its rotation from the anchor's own grid, so a route may enter anywhere.

    Raises:
        AnchorError: If the model draws its rotations or the patches it keeps anew for each batch, which blocks that
            are run one by one cannot share.
    """

    models = (Eva,)
    model: Eva

    def __init__(self, model: nn.Module, name: str, source: AnchorSource | None = None) -> None:
        super().__init__(model, name, source)
        rope = self.model.rope
        if rope is None:
            return
        if self.model.patch_drop is not None:
            raise AnchorError(
                f"{name} drops patches in training (patch_drop_rate={self.model.patch_drop.prob}), and its rotary "
                "position embedding would have to know which; build it with patch_drop_rate=0."
            )
        if rope.aug_active:
            names = ("shift_coords", "jitter_coords", "rescale_coords")
            active = [f"rope_{option}" for option in names if getattr(rope, option) is not None]
            raise AnchorError(
                f"{name} varies its rotary position embedding in training ({', '.join(active)}), and all blocks "
                "would have to share each draw; build it without these settings."
            )

    def stem(self, images: Tensor) -> Tensor:
        """Embed patches, add tokens and absolute positions: `(B, C, H, W)` to `(B, N, C)`."""
        model = self.model
        tokens, _ = model._pos_embed(model.patch_embed(images))
        features: Tensor = model.norm_pre(tokens)
        return features

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one transformer block with the rotation of its depth."""
        run = partial(self.model.blocks[index], rope=self._rotation(index))
        return run_in_turn([run], features, recompute=self.recomputes(index))

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one transformer block, and the rotary embedding where it is learned: all blocks share it then."""
        block = self.model.blocks[index]
        return [block, self.model.rope] if self.model.rope_mixed else [block]

    def _rotation(self, index: int) -> Tensor | None:
        """Return sines and cosines `(N, 2 * head_dim)`, with heads in front where each has its own; None without."""
        rope: Any = self.model.rope
        if rope is None:
            return None
        # Each rotary embedding holds the table of a fixed grid; where images may vary it has to be told the grid.
        shape = None if getattr(rope, "feat_shape", None) is not None else self.model.patch_embed.grid_size
        if not self.model.rope_mixed:
            table: Tensor = rope.get_embed(shape=shape) if shape else rope.get_embed()
            return table
        # Only this depth: `get_embed` works out the rotations of all blocks.
        across, down = rope._get_grid_values(shape) if shape else (rope.t_x, rope.t_y)
        rotation: Tensor = get_mixed_freqs(rope.freqs[:, index], across, down)
        return rotation
