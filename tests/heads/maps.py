"""Maps that heads read in tests: of a plain ViT, and of families with stages."""

import torch
from torch import Tensor, nn

from snnet.space import MapSpec

VIT = [MapSpec(64, 16)] * 4
STAGES = [MapSpec(32, 4), MapSpec(64, 8), MapSpec(128, 16), MapSpec(256, 32)]
KINDS = {"vit": VIT, "stages": STAGES}
HEADS = ("linear", "fpn", "upernet", "dpt")


def sample_maps(specs: list[MapSpec], height: int, width: int, batch: int = 1) -> list[Tensor]:
    """Maps of large scale, as they are before the final norm, for images of a height and width."""
    sizes = [(-(-height // spec.reduction), -(-width // spec.reduction)) for spec in specs]
    generator = torch.Generator().manual_seed(batch)
    pairs = zip(specs, sizes, strict=True)
    return [30 * torch.randn(batch, spec.channels, *size, generator=generator) for spec, size in pairs]


class OnImages(nn.Module):
    """A head behind strided convolutions, one for each map, so that it takes images."""

    def __init__(self, head: nn.Module, specs: list[MapSpec]) -> None:
        super().__init__()
        self.readers = nn.ModuleList(nn.Conv2d(3, spec.channels, spec.reduction, spec.reduction) for spec in specs)
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        return self.head([read(images) for read in self.readers])
