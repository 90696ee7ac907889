"""LeViT: timm's `Levit` and `LevitDistilled`, whose two heads are averaged."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from threading import RLock

import torch
from timm.models.levit import Attention, AttentionDownsample, Levit
from torch import Tensor, nn

from snnet.anchors.anchor import ANCHORS
from snnet.anchors.images import input_spec
from snnet.anchors.timm_anchor import StagedAnchor
from snnet.space import FeatureSpec, InputSpec

_CHANGING = RLock()


@ANCHORS.register("levit")
class LevitAnchor(StagedAnchor):
    """A LeViT as stages of blocks, each an attention and its MLP, with subsampling attention between the stages."""

    models = (Levit,)
    head_names = ("head", "head_dist")

    @property
    def input(self) -> InputSpec:
        """The images that the model takes; their size follows from the attention biases, which have a fixed grid."""
        stride = self.model.feature_info[0]["reduction"]
        size = [stride * side for side in self.model.stages[0].blocks[0].attn.resolution]
        return input_spec(self.model, size=size)

    def feature(self, block: int) -> FeatureSpec:
        """All blocks of a stage have one output: tokens, or an image in the variants made of convolutions."""
        number = self.place(max(block, 0))[0]
        height, width = self.model.stages[number].blocks[0].attn.resolution
        return FeatureSpec(self.model.embed_dim[number], "NCHW" if self.model.use_conv else "tokens", (height, width))

    def stem(self, images: Tensor) -> Tensor:
        """Run the convolutions: `(B, C, H, W)` to `(B, N, C')`."""
        features: Tensor = self.model.stem(images)
        return features if self.model.use_conv else features.flatten(2).transpose(1, 2)

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one attention and its MLP, after the subsampling that leads into its stage if it is the first."""
        with _fresh_biases(self.block_modules(index)):
            return super().block(index, features)


@contextmanager
def _fresh_biases(parts: Iterable[nn.Module]) -> Iterator[None]:
    """Keep gradients out of timm's cache of attention biases.

    In evaluation mode timm gathers the biases once. With gradients on, the graph would be kept with them: a second
    backward pass and any copy of the network would fail. An attention in training mode gathers them anew, and its
    mode says nothing else.
    """
    kinds = (Attention, AttentionDownsample)
    cached = [m for part in parts for m in part.modules() if isinstance(m, kinds) and not m.training]
    if not torch.is_grad_enabled():
        cached = []
    # One thread at a time: another would find the mode changed, or change it back too early.
    with _CHANGING if cached else nullcontext():
        for module in cached:
            module.training = True
        try:
            yield
        finally:
            for module in cached:
                module.training = False
