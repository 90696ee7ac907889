# Tested in tests/heads/test_head.py.
"""The head that nearly nothing is added by: what the maps say, read off linearly."""

from collections.abc import Sequence

from torch import Tensor, nn

from snnet.heads.head import HEADS
from snnet.heads.parts import DenseHead, resized
from snnet.space import MapSpec


@HEADS.register("linear")
class LinearHead(DenseHead):
    """Reads each map through a 1x1 convolution, and sums the results on the finest grid.

    Args:
        maps: What the maps are, in their order; any reductions.
        outputs: Channels that it gives.
        hidden: Width at which the maps are summed, with a GELU and a 1x1 convolution after it; None reads the outputs
            off directly.
    """

    def __init__(self, maps: Sequence[MapSpec], outputs: int, hidden: int | None = None) -> None:
        super().__init__(maps)
        width = outputs if hidden is None else hidden
        self.finest = min(range(len(maps)), key=lambda number: maps[number].reduction)
        # One bias is enough for a sum.
        self.readers = nn.ModuleList(nn.Conv2d(spec.channels, width, 1, bias=not k) for k, spec in enumerate(maps))
        self.classifier = nn.Identity() if hidden is None else nn.Sequential(nn.GELU(), nn.Conv2d(hidden, outputs, 1))

    def decode(self, maps: list[Tensor]) -> Tensor:
        """Turn normalized maps into outputs on the finest grid among them."""
        grid = maps[self.finest].shape[2:]
        first, *others = (resized(read(each), grid) for read, each in zip(self.readers, maps, strict=True))
        outputs: Tensor = self.classifier(sum(others, first))
        return outputs
