"""Decoders of another package: where grids are even, what its own forward pass gives."""

import pytest
import torch

from snnet.errors import HeadError
from snnet.heads import build_head
from tests.heads.maps import STAGES, VIT, sample_maps

pytest.importorskip("segmentation_models_pytorch", reason="the extra dense is not installed")


@pytest.mark.parametrize("specs", [VIT, STAGES], ids=["vit", "stages"])
@pytest.mark.parametrize("name", ["fpn", "dpt"])
def test_even_grids_give_what_the_decoder_itself_gives(name: str, specs: list) -> None:
    torch.manual_seed(0)
    head, maps = build_head(name, specs, 3).eval(), sample_maps(specs, 64, 128, 2)
    with torch.no_grad():
        given = (head.pyramid(maps),) if name == "fpn" else (maps, [None] * len(maps))
        torch.testing.assert_close(head.decode(maps), head.classifier(head.decoder(*given)))


def test_widths_are_options() -> None:
    fpn = build_head("fpn", STAGES, 3, pyramid_channels=32, segmentation_channels=64)
    assert fpn.decoder.p5.out_channels == 32 and fpn.classifier.in_channels == 64
    assert build_head("upernet", STAGES, 3, decoder_channels=40).classifier.in_channels == 40
    dpt = build_head("dpt", VIT[:2], 3, fusion_channels=32, intermediate_channels=(16, 24))
    assert [part.project_to_out_channel.out_channels for part in dpt.decoder.reassemble_blocks] == [16, 24]
    with pytest.raises(HeadError, match=r"segmentation_channels=48 does not divide .* accepted: a multiple of 32"):
        build_head("fpn", STAGES, 3, segmentation_channels=48)
    with pytest.raises(HeadError, match=r"Head 'dpt' cannot be built with intermediate_channels=.*same length"):
        build_head("dpt", VIT, 3, intermediate_channels=(16, 24))
