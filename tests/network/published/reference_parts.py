"""What the reference of the published networks is made of: layers as plain functions of tensors by published names.

What the tests compare with must owe nothing to what they test: the files of the reference import only torch and each
other, and compute windows, masks and offsets anew.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch.nn.functional as F  # noqa: N812
from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """The tensors of a state dict whose names begin with `prefix`, used as the layers that they belong to."""

    state: Mapping[str, Tensor]
    prefix: str = ""

    def under(self, name: str) -> "Weights":
        return Weights(self.state, f"{self.prefix}{name}.")

    def __getitem__(self, name: str) -> Tensor:
        return self.state[self.prefix + name]

    def __contains__(self, name: str) -> bool:
        return self.prefix + name in self.state

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self[f"{name}.weight"], self._bias(name))

    def conv(self, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        return F.conv2d(x, self[f"{name}.weight"], self._bias(name), stride, padding)

    def layer_norm(self, name: str, x: Tensor, eps: float) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self[f"{name}.weight"], self[f"{name}.bias"], eps)

    def batch_norm(self, name: str, x: Tensor) -> Tensor:
        """In evaluation mode; channels are the second dimension."""
        mean, var, weight, bias = (self[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=1e-5)

    def _bias(self, name: str) -> Tensor | None:
        return self.state.get(f"{self.prefix}{name}.bias")


class ReferenceAnchor(ABC):
    """One anchor as stem, blocks and head; blocks are numbered through all stages.

    Attributes:
        channels_first: Whether features are (B, C, H, W); else channels are last.
    """

    channels_first = False

    def __init__(self, weights: Weights, depths: Sequence[int]) -> None:
        self.weights, self.depths = weights, depths

    @property
    def depth(self) -> int:
        return sum(self.depths)

    def place(self, block: int) -> tuple[int, int]:
        """Return the stage of a block, and its number there."""
        first = [0, *accumulate(self.depths)]
        stage = max(stage for stage in range(len(self.depths)) if first[stage] <= block)
        return stage, block - first[stage]

    @abstractmethod
    def stem(self, images: Tensor) -> Tensor: ...

    @abstractmethod
    def block(self, number: int, x: Tensor) -> Tensor:
        """Run one block, after what stands between two stages if it is the first of the later one."""

    @abstractmethod
    def head(self, x: Tensor) -> Tensor: ...

    def head_without_norm(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"No published {type(self).__name__} leaves its final norm out.")


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, positions, channels) to (B, heads, positions, channels of a head)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """Attention of every head, and the heads side by side again: (B, positions, channels)."""
    scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
    weights = (scores if bias is None else scores + bias).softmax(dim=3)
    return (weights @ value).transpose(1, 2).flatten(2)


def gelu_mlp(block: Weights, x: Tensor) -> Tensor:
    return block.linear("mlp.fc2", F.gelu(block.linear("mlp.fc1", x)))
