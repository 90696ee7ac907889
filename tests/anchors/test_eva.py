"""The rotation by position that the blocks of an EVA share; what all families share is in test_families.py."""

import pytest
import torch

from snnet.anchors import Anchor, load_anchor
from snnet.errors import AnchorError
from snnet.network import SNNet
from snnet.space import StitchSpace
from tests.anchors.families import FAMILIES

build = FAMILIES["eva"].build


def test_a_learned_rotation_belongs_to_the_blocks_that_turn_by_it() -> None:
    """A route that enters in the middle uses the back anchor's frequencies, though it never runs its stem."""
    anchors: list[Anchor] = [load_anchor(build("vit_small_patch16_rope_mixed_224")) for _ in range(2)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors])).eval()
    route = net.space.find("0:0-2,1:2-3")
    assert net.anchor(1).model.rope.freqs in set(net.parameters_of(route))
    net(torch.randn(1, *net.input.size), route).sum().backward()
    moved = net.anchor(1).model.rope.freqs.grad
    assert moved[:, 2].abs().sum() > 0 and moved[:, :2].abs().sum() == 0


def test_what_blocks_cannot_share_is_refused() -> None:
    with pytest.raises(AnchorError, match=r"drops patches in training \(patch_drop_rate=0.5\).*patch_drop_rate=0\."):
        load_anchor(build("eva02_tiny_patch14_224", patch_drop_rate=0.5))
    with pytest.raises(AnchorError, match=r"\(rope_jitter_coords, rope_rescale_coords\).*without these settings"):
        load_anchor(build("vit_small_patch16_dinov3", rope_jitter_coords=1.1, rope_rescale_coords=1.2))


def test_without_a_rotation_blocks_need_not_know_which_patches_are_left() -> None:
    model = build("no rotation", patch_drop_rate=0.5).train()
    anchor = load_anchor(model)
    images = torch.randn(2, *anchor.input.size)
    torch.manual_seed(0)
    expected = model(images)
    torch.manual_seed(0)
    torch.testing.assert_close(anchor.head(anchor.run(anchor.stem(images), 0, anchor.depth)), expected)
