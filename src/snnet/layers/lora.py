"""Stitching layers of which training changes a low-rank part only (SN-Netv2, arXiv 2307.00154; LoRA, 2106.09685)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from snnet.errors import AnchorError


class LowRankLinear(nn.Linear):
    """A linear layer `(weight + up down) x + bias` whose `weight` is frozen.

    It begins as the plain layer that it is made of, for `up` is zero. The bias is trained.

    Args:
        plain: Gives weight and bias, which are shared and not copied.
        rank: Rows of `down`, columns of `up`.

    Raises:
        AnchorError: If the rank does not fit, see `check_rank`.
    """

    def __init__(self, plain: nn.Linear, rank: int) -> None:
        check_rank(plain, rank)
        super().__init__(plain.in_features, plain.out_features, device="meta")
        weight = plain.weight
        self.weight = weight.requires_grad_(False)
        self.bias = plain.bias
        self.down = nn.Parameter(weight.new_empty(rank, plain.in_features))
        self.up = nn.Parameter(weight.new_empty(plain.out_features, rank))
        self.reset_update()

    @property
    def rank(self) -> int:
        """Rank of the update."""
        return len(self.down)

    @torch.no_grad()
    def reset_update(self) -> None:
        """Begin again with an update that changes nothing."""
        nn.init.kaiming_uniform_(self.down, a=5**0.5)
        nn.init.zeros_(self.up)

    def full_weight(self) -> Tensor:
        """Return the weight with the update, `(out_features, in_features)`."""
        return self.weight + self.up @ self.down

    def forward(self, features: Tensor) -> Tensor:
        """Map `(..., in_features)` to `(..., out_features)`."""
        # In two thin products, of which the backward pass never makes a gradient as large as the weight.
        return linear(features, self.weight, self.bias) + linear(linear(features, self.down), self.up)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Return a plain layer that computes the same."""
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        plain.weight = nn.Parameter(self.full_weight())
        plain.bias = self.bias
        return plain.train(self.training)

    def extra_repr(self) -> str:
        """Name sizes and rank."""
        return f"{super().extra_repr()}, rank={self.rank}"


def check_rank(layer: nn.Linear, rank: int) -> None:
    """Refuse a rank that a full matrix of the layer could not have.

    Raises:
        AnchorError: The message says what fits.
    """
    most = min(layer.in_features, layer.out_features)
    if not 1 <= rank <= most:
        raise AnchorError(
            f"lora_rank is {rank}; a stitching layer from {layer.in_features} to {layer.out_features} channels takes "
            f"1 to {most}."
        )
