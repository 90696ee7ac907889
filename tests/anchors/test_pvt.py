"""The norm at the end of a PVT's stages; what all families share is in test_families.py."""

import torch

from snnet.anchors import load_anchor
from tests.anchors.families import FAMILIES

build = FAMILIES["pvt"].build


def test_the_norm_of_the_last_stage_belongs_to_the_head() -> None:
    anchor = load_anchor(build("pvt_v2_b0"))
    assert {*anchor.model.stages[3].norm.parameters()} <= {*anchor.head_parameters()}


def test_a_stage_ends_before_its_norm() -> None:
    """What leaves a stage's last block is what timm's norm receives, like what leaves the blocks before it."""
    model = build("pvt_v2_b2").eval()
    anchor = load_anchor(model)
    received: list[torch.Tensor] = []
    model.stages[0].norm.register_forward_hook(lambda module, args, output: received.append(args[0]))
    images = torch.randn(1, *anchor.input.size)
    with torch.no_grad():
        model(images)
        features = anchor.run(anchor.stem(images), 0, 2)
    torch.testing.assert_close(features.flatten(1, 2), received[0])
