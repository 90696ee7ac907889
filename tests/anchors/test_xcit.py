"""The class token of an XCiT; what all families share is in test_families.py."""

import torch

from snnet.anchors import Anchor, load_anchor
from snnet.network import SNNet
from snnet.space import StitchSpace
from tests.anchors.families import FAMILIES

build = FAMILIES["xcit"].build


def test_the_class_token_belongs_to_the_head() -> None:
    """A route that enters in the middle uses the back anchor's class token, though it never runs its stem."""
    anchors: list[Anchor] = [load_anchor(build("xcit_nano_12_p16_224", embed_dim=width)) for width in (16, 32)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors])).eval()
    route = net.space.find("0:0-2,1:2-3")
    net(torch.randn(1, *net.input.size), route).square().sum().backward()
    moved = {parameter for parameter in net.parameters() if parameter.grad is not None}
    assert moved == set(net.parameters_of(route))
    assert net.anchor(1).model.cls_token in moved and net.anchor(0).model.cls_token not in moved
