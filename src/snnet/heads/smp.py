"""Decoders of `segmentation_models_pytorch`: FPN, UPerNet and DPT, for grids of any size.

Its own forward passes double a grid and add it to the next, which fails where a side was odd. Here its modules run with
each grid fitted to the next one; where sides are even the result is the same.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate

from snnet.errors import HeadError
from snnet.heads.head import HEADS
from snnet.heads.parts import DenseHead, Pyramid, check_doubling, is_flat, resized, without_batch_norms
from snnet.space import MapSpec
from snnet.utils import require

_GROUPS = 32  # of the group norms in the decoder of FPN


def _decoders(name: str) -> Any:
    return require(f"segmentation_models_pytorch.decoders.{name}.decoder", "dense")


@HEADS.register("fpn")
class FPNHead(DenseHead):
    """Panoptic FPN (arXiv 1901.02446): a pyramid from coarse to fine, all of its levels summed on the finest grid.

    Args:
        maps: What the maps are, in their order, see `Pyramid`.
        outputs: Channels that it gives.
        pyramid_channels: Width of the pyramid.
        segmentation_channels: Width of the sum, a multiple of 32.
        dropout: Share of channels of the sum that are left out in training.
    """

    def __init__(
        self,
        maps: Sequence[MapSpec],
        outputs: int,
        pyramid_channels: int = 128,
        segmentation_channels: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(maps)
        if segmentation_channels % _GROUPS:
            raise HeadError(
                f"segmentation_channels={segmentation_channels} does not divide into {_GROUPS} groups; accepted: a "
                f"multiple of {_GROUPS}."
            )
        self.pyramid = Pyramid(maps)
        self.decoder = _decoders("fpn").FPNDecoder(
            encoder_channels=list(self.pyramid.channels),
            encoder_depth=len(self.pyramid.channels),
            pyramid_channels=pyramid_channels,
            segmentation_channels=segmentation_channels,
            dropout=dropout,
        )
        self.classifier = nn.Conv2d(segmentation_channels, outputs, 1)

    def decode(self, maps: list[Tensor]) -> Tensor:
        """Turn normalized maps into outputs on the finest grid of the pyramid."""
        decoder = self.decoder
        *finer, coarsest = self.pyramid(maps)
        levels = [decoder.p5(coarsest)]
        for part, skip in zip((decoder.p4, decoder.p3, decoder.p2), reversed(finer), strict=True):
            levels.append(part.skip_conv(skip) + interpolate(levels[-1], size=skip.shape[2:], mode="nearest"))
        grid = levels[-1].shape[2:]
        fused = decoder.merge(
            [resized(part(level), grid) for part, level in zip(decoder.seg_blocks, levels, strict=True)]
        )
        outputs: Tensor = self.classifier(decoder.dropout(fused))
        return outputs


@HEADS.register("upernet")
class UPerNetHead(DenseHead):
    """UPerNet (arXiv 1807.10221): pooled context on the coarsest map, a pyramid, all levels fused on the finest grid.

    Args:
        maps: What the maps are, in their order, see `Pyramid`.
        outputs: Channels that it gives.
        decoder_channels: Width of the pyramid and of the fusion.
    """

    def __init__(self, maps: Sequence[MapSpec], outputs: int, decoder_channels: int = 128) -> None:
        super().__init__(maps)
        self.pyramid = Pyramid(maps)
        # It passes over its first two maps.
        channels = [0, 0, *self.pyramid.channels]
        decoder = _decoders("upernet").UPerNetDecoder(channels, len(channels) - 1, decoder_channels)
        decoder.feature_norms = nn.ModuleList(nn.Identity() for _ in self.pyramid.channels)  # maps come normalized
        self.decoder = without_batch_norms(decoder)
        self.classifier = nn.Conv2d(decoder_channels, outputs, 1)

    def decode(self, maps: list[Tensor]) -> Tensor:
        """Turn normalized maps into outputs on the finest grid of the pyramid."""
        outputs: Tensor = self.classifier(self.decoder([None, None, *self.pyramid(maps)]))
        return outputs


@HEADS.register("dpt")
class DPTHead(DenseHead):
    """DPT (arXiv 2103.13413): maps brought to a pyramid, fused from coarse to fine by residual convolutions.

    Args:
        maps: What the maps are, in their order: all of one reduction, as DPT is made for, or each twice that of the one
            before.
        outputs: Channels that it gives.
        fusion_channels: Width of the fusion.
        intermediate_channels: Width of each map as it is brought to its level; by default 48, doubled from map to map.

    Raises:
        HeadError: If the reductions are others.
    """

    def __init__(
        self,
        maps: Sequence[MapSpec],
        outputs: int,
        fusion_channels: int = 64,
        intermediate_channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__(maps)
        flat = is_flat(maps)
        if not flat:
            check_doubling(maps)
        parts = _decoders("dpt")
        self.decoder = without_batch_norms(
            parts.DPTDecoder(
                encoder_out_channels=[spec.channels for spec in maps],
                # Levels 4, 2, 1 and 1/2 times as fine as equal maps whatever their reduction; others stay as they are.
                encoder_output_strides=[16 if flat else 4 * 2**k for k in range(len(maps))],
                encoder_has_prefix_tokens=False,
                readout="ignore",
                intermediate_channels=intermediate_channels or [48 * 2**k for k in range(len(maps))],
                fusion_channels=fusion_channels,
            )
        )
        self.classifier = without_batch_norms(parts.DPTSegmentationHead(fusion_channels, outputs).head)

    def decode(self, maps: list[Tensor]) -> Tensor:
        """Turn normalized maps into outputs on a grid twice as fine as the finest level."""
        decoder: Any = self.decoder
        fused = None
        levels = [part(each) for part, each in zip(decoder.reassemble_blocks, maps, strict=True)]
        for fuse, level in zip(decoder.fusion_blocks, reversed(levels), strict=True):
            fused = fuse(level, None if fused is None else resized(fused, level.shape[2:]))
        outputs: Tensor = self.classifier(fused)
        return outputs
