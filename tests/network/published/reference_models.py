"""DeiT, Swin and ResNet once more, as plain functions of tensors by their published names; see `reference_parts`.

Sources:

* DeiT: https://github.com/facebookresearch/deit, `models.py`; a ViT with its class token first;
* Swin: https://github.com/microsoft/Swin-Transformer, `models/swin_transformer.py`;
* ResNet: He et al., Deep Residual Learning for Image Recognition, CVPR 2016; the stride of a bottleneck is in its 3 x 3
  convolution, as torchvision and timm have it.
"""

from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tests.network.published.reference_parts import ReferenceAnchor, Weights, attend, gelu_mlp, split_heads


class Deit(ReferenceAnchor):
    """Tokens (B, 197, C), the class token first; heads have 64 channels."""

    def stem(self, images: Tensor) -> Tensor:
        patches = self.weights.conv("patch_embed.proj", images, stride=16).flatten(2).transpose(1, 2)
        tokens = self.weights["cls_token"].expand(len(images), -1, -1)
        return torch.cat([tokens, patches], dim=1) + self.weights["pos_embed"]

    def block(self, number: int, x: Tensor) -> Tensor:
        block = self.weights.under(f"blocks.{number}")
        qkv = block.linear("attn.qkv", block.layer_norm("norm1", x, 1e-6)).chunk(3, dim=2)
        query, key, value = (split_heads(part, x.shape[2] // 64) for part in qkv)
        x = x + block.linear("attn.proj", attend(query, key, value))
        return x + gelu_mlp(block, block.layer_norm("norm2", x, 1e-6))

    def head(self, x: Tensor) -> Tensor:
        return self.head_without_norm(self.weights.layer_norm("norm", x, 1e-6))

    def head_without_norm(self, x: Tensor) -> Tensor:
        return self.weights.linear("head", x[:, 0])


WINDOW = 7
"""Side of Swin's windows."""
SHIFT = 3
"""By how much every other block of Swin shifts them."""


class Swin(ReferenceAnchor):
    """Features (B, H, W, C); heads have 32 channels."""

    def stem(self, images: Tensor) -> Tensor:
        patches = self.weights.conv("patch_embed.proj", images, stride=4).permute(0, 2, 3, 1)
        return self.weights.layer_norm("patch_embed.norm", patches, 1e-5)

    def block(self, number: int, x: Tensor) -> Tensor:
        stage, within = self.place(number)
        if stage > 0 and within == 0:
            x = self._merge_patches(stage - 1, x)
        block = self.weights.under(f"layers.{stage}.blocks.{within}")
        # Where one window covers the whole map there is nothing to shift.
        shift = SHIFT if within % 2 and x.shape[1] > WINDOW else 0
        x = x + self._attention(block.under("attn"), block.layer_norm("norm1", x, 1e-5), shift)
        return x + gelu_mlp(block, block.layer_norm("norm2", x, 1e-5))

    def head(self, x: Tensor) -> Tensor:
        return self.weights.linear("head", self.weights.layer_norm("norm", x, 1e-5).mean(dim=(1, 2)))

    def _merge_patches(self, stage: int, x: Tensor) -> Tensor:
        """The published file has it at the end of the earlier stage; rows vary first in the order of the channels."""
        merging = self.weights.under(f"layers.{stage}.downsample")
        slices = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return merging.linear("reduction", merging.layer_norm("norm", torch.cat(slices, dim=3), 1e-5))

    def _attention(self, weights: Weights, x: Tensor, shift: int) -> Tensor:
        side, heads = x.shape[1], x.shape[3] // 32
        windows = to_windows(x.roll((-shift, -shift), (1, 2)))
        query, key, value = (split_heads(part, heads) for part in weights.linear("qkv", windows).chunk(3, dim=2))
        bias = weights["relative_position_bias_table"][window_offsets()].permute(2, 0, 1)[None]
        if shift:
            # Windows of one image follow each other, and images follow images.
            bias = bias + shift_mask(side).to(x)[:, None].repeat(len(x), 1, 1, 1)
        mixed = weights.linear("proj", attend(query, key, value, bias))
        return from_windows(mixed, side).roll((shift, shift), (1, 2))


def to_windows(x: Tensor) -> Tensor:
    """(B, H, W, C) to (B * windows, positions of a window, C)."""
    batch, height, width, channels = x.shape
    split = x.reshape(batch, height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels)
    return split.transpose(2, 3).reshape(-1, WINDOW * WINDOW, channels)


def from_windows(windows: Tensor, side: int) -> Tensor:
    """(B * windows, positions of a window, C) to (B, side, side, C)."""
    split = windows.reshape(-1, side // WINDOW, side // WINDOW, WINDOW, WINDOW, windows.shape[2])
    return split.transpose(2, 3).reshape(-1, side, side, windows.shape[2])


@cache
def window_offsets() -> Tensor:
    """For each pair of positions of a window, the row of the table of biases: one for each offset."""
    positions = torch.cartesian_prod(torch.arange(WINDOW), torch.arange(WINDOW))
    offsets = positions[:, None] - positions[None] + WINDOW - 1
    return offsets[..., 0] * (2 * WINDOW - 1) + offsets[..., 1]


@cache
def shift_mask(side: int) -> Tensor:
    """For each shifted window, -100 between positions that the shift brought together from opposite edges."""
    edges = [0] * (side - WINDOW) + [1] * (WINDOW - SHIFT) + [2] * SHIFT
    regions = torch.tensor([[3 * row + column for column in edges] for row in edges])
    windows = to_windows(regions[None, :, :, None])[..., 0]
    return torch.where(windows[:, :, None] == windows[:, None], 0.0, -100.0)


class ResNet(ReferenceAnchor):
    """Features (B, C, H, W); blocks are bottlenecks where they have a third convolution."""

    channels_first = True

    def stem(self, images: Tensor) -> Tensor:
        features = self.weights.batch_norm("bn1", self.weights.conv("conv1", images, stride=2, padding=3))
        return F.max_pool2d(features.relu(), kernel_size=3, stride=2, padding=1)

    def block(self, number: int, x: Tensor) -> Tensor:
        stage, within = self.place(number)
        block = self.weights.under(f"layer{stage + 1}.{within}")
        stride = 2 if stage > 0 and within == 0 else 1
        branch = self._bottleneck(block, x, stride) if "conv3.weight" in block else self._basic(block, x, stride)
        if "downsample.0.weight" in block:
            x = block.batch_norm("downsample.1", block.conv("downsample.0", x, stride))
        return (x + branch).relu()

    def head(self, x: Tensor) -> Tensor:
        return self.weights.linear("fc", x.mean(dim=(2, 3)))

    def _basic(self, block: Weights, x: Tensor, stride: int) -> Tensor:
        x = block.batch_norm("bn1", block.conv("conv1", x, stride, padding=1)).relu()
        return block.batch_norm("bn2", block.conv("conv2", x, padding=1))

    def _bottleneck(self, block: Weights, x: Tensor, stride: int) -> Tensor:
        x = block.batch_norm("bn1", block.conv("conv1", x)).relu()
        x = block.batch_norm("bn2", block.conv("conv2", x, stride, padding=1)).relu()
        return block.batch_norm("bn3", block.conv("conv3", x))
