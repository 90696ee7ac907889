"""The bias that the blocks of a BEiT may share; what all families share is in test_families.py."""

import torch

from snnet.anchors import Anchor, load_anchor
from snnet.network import SNNet
from snnet.profiling import stitch_params
from snnet.space import Step, StitchSpace
from tests.anchors.checks import check_segments
from tests.anchors.families import FAMILIES

build = FAMILIES["beit"].build


def test_a_shared_bias_belongs_to_the_blocks_that_add_it() -> None:
    """A route that enters in the middle uses the back anchor's bias, though it never runs its stem."""
    anchors: list[Anchor] = [load_anchor(build("shared bias", embed_dim=width)) for width in (16, 24)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors])).eval()
    route = net.space.find("0:0-2,1:2-3")
    net(torch.randn(1, *net.input.size), route).square().sum().backward()
    moved = {parameter for parameter in net.parameters() if parameter.grad is not None}
    assert {net.anchor(number).model.rel_pos_bias.relative_position_bias_table for number in range(2)} < moved
    assert moved == set(net.parameters_of(route))
    assert stitch_params(net)[route.id] == sum(parameter.numel() for parameter in moved)


def test_a_block_without_a_shared_bias_is_all_there_is_to_run() -> None:
    plain, shared = (load_anchor(build(name)) for name in ("beit_base_patch16_224", "shared bias"))
    assert plain.chain(Step("block", 0, 1)) == (plain.model.blocks[1],)
    assert shared.chain(Step("block", 0, 1)) is None


def test_a_set_input_size_is_followed() -> None:
    for name in ("beit_base_patch16_224", "shared bias"):
        model = build(name)
        model.set_input_size((32, 80))
        assert load_anchor(model).input.size == (3, 32, 80)
        check_segments(model, training=False)
