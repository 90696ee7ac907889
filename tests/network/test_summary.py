"""What a network prints fits a screen and says what it is."""

import torch

from snnet.network import SNNet, replicate
from snnet.table import StitchRow, StitchTable
from tests.batch_norm_family import build_conv_net


def test_anchors_space_weights_table_and_place(tiny_net: SNNet) -> None:
    count = sum(p.numel() for p in tiny_net.parameters())
    first, *anchors = repr(tiny_net).splitlines()
    layers = len(tiny_net.space.layers)
    assert first.startswith(f"SNNet: {len(tiny_net.space)} stitches of 3 anchors, {layers} stitching layers, ")
    assert first.endswith(f" {count / 1000:.0f} k parameters")
    for number, width in enumerate((16, 32, 48)):
        assert anchors[number].startswith(f"  anchor {number}: vit_tiny_patch16_224, depth 4, width {width}, ")
    assert anchors[3:] == [
        "  images: 1 x 28 x 28, 10 classes",
        "  table: none yet: snnet.profile(net) measures costs, snnet.evaluate(net, data) scores",
        "  on cpu, fp32, evaluation mode",
    ]


def test_stages_and_what_was_measured_are_listed() -> None:
    net = replicate(build_conv_net(), lambda tensor: tensor.to("meta", torch.bfloat16)).train()
    net.table = StitchTable([StitchRow(0, net.space[0].id, {"macs": 1.0, "top1": 50.0})])
    text = repr(net)
    assert "conv4, depth 2-2, width 4-8" in text
    assert "table: 1 stitch with macs, top1" in text
    assert text.endswith("on meta, bf16, training mode")
    assert len(text) < 1000 and (net.device, net.dtype) == (torch.device("meta"), torch.bfloat16)
