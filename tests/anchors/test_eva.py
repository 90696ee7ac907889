import pytest
import timm
import torch
from timm.models.eva import Eva

from snnet.anchors import Anchor, load_anchor
from snnet.errors import AnchorError
from snnet.network import SNNet
from snnet.space import StitchSpace
from tests.anchors.checks import check_features, check_parameters, check_recomputing, check_segments

TINY = {"embed_dim": 48, "depth": 3, "num_heads": 2, "num_classes": 5}
MADE = "post-norm with mrope"
VARIANTS = {
    "eva02_tiny_patch14_224": {"img_size": 56},
    "eva02_base_patch16_clip_224": {"img_size": (48, 64)},
    "eva_large_patch14_196": {"img_size": 42, "patch_drop_rate": 0.0, "in_chans": 1},
    "vit_small_patch16_rope_224": {"img_size": (48, 80)},
    "vit_small_patch16_rope_ape_224": {"img_size": 64, "dynamic_img_size": True},
    "vit_small_patch16_rope_mixed_224": {"img_size": (48, 80)},
    "vit_small_patch16_rope_mixed_ape_224": {"img_size": 48, "dynamic_img_size": True},
    "vit_base_patch16_rope_reg1_gap_256": {"img_size": 64},
    "vit_small_patch16_dinov3": {"img_size": 64},
    "vit_small_patch16_dinov3_qkvb": {"img_size": (48, 64), "dynamic_img_size": False},
    "vit_pe_core_tiny_patch16_384": {"img_size": 64},
    MADE: {"img_size": 48},
}


def build(name: str, **options: object) -> torch.nn.Module:
    if name == MADE:
        mrope = {"use_rot_pos_emb": True, "rope_type": "mrope", "rope_mrope_section": (2, 4, 4)}
        return Eva(**VARIANTS[name], class_token=False, use_post_norm=True, init_values=0.1, **mrope, **TINY, **options)
    return timm.create_model(name, **{**TINY, **VARIANTS[name], **options})


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("training", [False, True])
def test_segments_equal_timms_forward(name: str, training: bool) -> None:
    check_segments(build(name), training=training)


@pytest.mark.parametrize("name", VARIANTS)
def test_features_are_as_described(name: str) -> None:
    check_features(load_anchor(build(name)))


@pytest.mark.parametrize("name", VARIANTS)
def test_stem_blocks_and_head_share_out_all_parameters(name: str) -> None:
    check_parameters(load_anchor(build(name)))


@pytest.mark.parametrize("name", ["eva02_tiny_patch14_224", "vit_small_patch16_rope_mixed_224"])
def test_checkpointed_blocks_give_the_same_gradients(name: str) -> None:
    check_recomputing(build(name))


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
    # Without a rotation blocks need not know which patches are left.
    load_anchor(build("eva_large_patch14_196", patch_drop_rate=0.5))
