# Tested in tests/anchors/test_families.py.
"""Images normalized for one model, made right for another."""

import torch
from torch import Tensor, nn

from snnet.space import InputSpec


class Renormalize(nn.Module):
    """Turns images normalized for one model into images normalized for another.

    Args:
        source: How the images are normalized.
        target: How they shall be.
    """

    def __init__(self, source: InputSpec, target: InputSpec) -> None:
        super().__init__()
        mean_in, std_in, mean_out, std_out = (
            torch.tensor(values)[:, None, None] for values in (source.mean, source.std, target.mean, target.std)
        )
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", std_in / std_out, persistent=False)
        self.register_buffer("shift", (mean_in - mean_out) / std_out, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(B, C, H, W)`."""
        return images * self.scale + self.shift
