"""Augmentation of whole in-memory batches, for data sets small enough to live as one tensor."""

import torch
from pydantic import Field
from torch import Tensor

from snnet.space import InputSpec
from snnet.utils import WHOLE, Settings, Share


class BatchAugment(Settings):
    """Random shift and mirroring of whole batches, drawn per image: fast for small images.

    One gather over a padded batch is about a hundred times faster than per-image PIL transforms at 28x28.
    """

    pad: int = Field(2, ge=0, description="largest shift in pixels")
    flip: bool = Field(True, description="mirror each image with probability one half")
    fill: float | None = Field(None, description="value of uncovered pixels; black in grey images, the mean in color")

    def of(self, spec: InputSpec) -> "BatchAugment":
        """Return these settings with the value of uncovered pixels, in the units of the input."""
        if self.fill is not None or spec.size[0] != 1:
            return self
        return self.model_copy(update={"fill": -spec.mean[0] / spec.std[0]})

    def __call__(
        self,
        images: Tensor,
        generator: torch.Generator | None = None,
        *,
        total: int | None = None,
        share: Share = WHOLE,
    ) -> Tensor:
        """Augment images; all randomness comes from `generator` (global RNG if None). Without `fill`, it is 0.

        Args:
            images: `(B, C, H, W)`, a whole batch, or one process's share of a batch.
            generator: Decides how every image of the whole batch is varied.
            total: Images of the whole batch, where these are a share of it.
            share: Which share.
        """
        batch, _, height, width = images.shape
        total = batch if total is None else total
        own = share.of(total)
        padded = torch.nn.functional.pad(images, (self.pad,) * 4, value=self.fill or 0.0)
        span = 2 * self.pad + 1
        top = torch.randint(span, (total,), generator=generator)[own]
        left = torch.randint(span, (total,), generator=generator)[own]
        rows = top[:, None] + torch.arange(height)
        cols = left[:, None] + torch.arange(width)
        if self.flip:
            mirrored = torch.rand(total, generator=generator)[own] < 0.5
            cols = torch.where(mirrored[:, None], cols.flip(1), cols)
        index = torch.arange(batch)[:, None, None]
        return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)
