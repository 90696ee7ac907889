"""LeViT once more, as plain functions of tensors by their published names; see `reference_parts`.

Source: https://github.com/facebookresearch/LeViT, `levit.py`.
"""

import math
from functools import cache
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tests.network.published.reference_parts import ReferenceAnchor, Weights, attend, split_heads

LEVIT_KEY = 32
"""Channels of a head's keys and queries, in LeViT-192 as in LeViT-256."""


class Levit(ReferenceAnchor):
    """Tokens (B, H * W, C) without a class token; a block is an attention and an MLP, each a residual.

    In the flat list of the file a stage is four attentions and four MLPs in turns, and a subsampling attention with
    its MLP stands between two stages: stage s begins at entry 10 s.
    """

    def stem(self, images: Tensor) -> Tensor:
        x = self._conv_norm(0, images)
        for entry in (2, 4, 6):
            x = self._conv_norm(entry, F.hardswish(x))
        return x.flatten(2).transpose(1, 2)

    def block(self, number: int, x: Tensor) -> Tensor:
        stage, within = self.place(number)
        if stage > 0 and within == 0:
            x = self._subsample(10 * stage - 2, x)
            x = x + self._mlp(10 * stage - 1, x)
        entry = 10 * stage + 2 * within
        x = x + self._attention(entry, x)
        return x + self._mlp(entry + 1, x)

    def head(self, x: Tensor) -> Tensor:
        pooled, heads = x.mean(dim=1), (self.weights.under("head"), self.weights.under("head_dist"))
        first, second = (head.linear("l", head.batch_norm("bn", pooled)) for head in heads)
        return (first + second) / 2

    def _conv_norm(self, entry: int, x: Tensor) -> Tensor:
        part = self.weights.under(f"patch_embed.{entry}")
        return part.batch_norm("bn", part.conv("c", x, stride=2, padding=1))

    def _mlp(self, entry: int, x: Tensor) -> Tensor:
        part = self.weights.under(f"blocks.{entry}.m")
        return linear_norm(part.under("2"), F.hardswish(linear_norm(part.under("0"), x)))

    def _attention(self, entry: int, x: Tensor) -> Tensor:
        part = self.weights.under(f"blocks.{entry}.m")
        biases, sizes = part["attention_biases"], [LEVIT_KEY, LEVIT_KEY, 2 * LEVIT_KEY]
        query, key, value = torch.split(split_heads(linear_norm(part.under("qkv"), x), len(biases)), sizes, dim=3)
        mixed = attend(query, key, value, biases[:, grid_offsets(x.shape[1], x.shape[1])])
        return linear_norm(part.under("proj.1"), F.hardswish(mixed))

    def _subsample(self, entry: int, x: Tensor) -> Tensor:
        """Attention of every second position of every second row to all of them; its values are twice as wide."""
        part, side = self.weights.under(f"blocks.{entry}"), math.isqrt(x.shape[1])
        biases, sizes = part["attention_biases"], [LEVIT_KEY, 4 * LEVIT_KEY]
        key, value = torch.split(split_heads(linear_norm(part.under("kv"), x), len(biases)), sizes, dim=3)
        fewer = x.reshape(len(x), side, side, -1)[:, ::2, ::2].flatten(1, 2)
        query = split_heads(linear_norm(part.under("q.1"), fewer), len(biases))
        mixed = attend(query, key, value, biases[:, grid_offsets(fewer.shape[1], x.shape[1])])
        return linear_norm(part.under("proj.1"), F.hardswish(mixed))


def linear_norm(part: Weights, x: Tensor) -> Tensor:
    """A linear map and a batch norm over all tokens."""
    mapped = part.linear("c", x)
    return part.batch_norm("bn", mapped.flatten(0, 1)).reshape(mapped.shape)


@cache
def grid_offsets(queries: int, keys: int) -> Tensor:
    """For each pair of positions of two square grids, the number of their offset, in the order of appearance.

    Offsets are without sign; a grid of fewer queries lies on every second position of the keys' grid.
    """
    query_side, key_side = math.isqrt(queries), math.isqrt(keys)
    stride = math.ceil(key_side / query_side)
    known: dict[tuple[int, int], int] = {}
    numbers = [
        known.setdefault((abs(stride * row - key_row), abs(stride * column - key_column)), len(known))
        for row, column in product(range(query_side), repeat=2)
        for key_row, key_column in product(range(key_side), repeat=2)
    ]
    return torch.tensor(numbers).view(queries, keys)
