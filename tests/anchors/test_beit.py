import pytest
import timm
import torch
from timm.models.beit import Beit

import snnet
from snnet.anchors import Anchor, load_anchor
from snnet.network import SNNet
from snnet.profiling import stitch_params
from snnet.space import StitchSpace
from tests.anchors.checks import check_features, check_parameters, check_recomputing, check_segments

TINY = {"embed_dim": 24, "depth": 3, "num_heads": 2, "num_classes": 5}
VARIANTS = {
    # As published: one bias per block, layer scale, mean pooling with its norm after it.
    "beit_base_patch16_224": {"img_size": (48, 64)},
    "beitv2_large_patch16_224": {"img_size": 48, "in_chans": 1},
    "shared bias": {"use_shared_rel_pos_bias": True, "use_abs_pos_emb": False, "init_values": 0.1},
    "both biases": {"use_shared_rel_pos_bias": True, "use_rel_pos_bias": True},
    "class token": {"use_shared_rel_pos_bias": True, "global_pool": "token", "qkv_bias": False},
    "norm before pooling": {"use_fc_norm": False, "swiglu_mlp": True, "scale_mlp": True},
}


def build(name: str, **options: object) -> torch.nn.Module:
    settings = {**TINY, **VARIANTS[name], **options}
    if name.startswith("beit"):
        return timm.create_model(name, **settings)
    return Beit(**{"img_size": (32, 48), **settings})


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


@pytest.mark.parametrize("name", ["beit_base_patch16_224", "shared bias"])
def test_checkpointed_blocks_give_the_same_gradients(name: str) -> None:
    check_recomputing(build(name))


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
    assert plain.block_chain(1) == (plain.model.blocks[1],)
    assert shared.block_chain(1) is None


def test_a_set_input_size_is_followed() -> None:
    for name in ("beit_base_patch16_224", "shared bias"):
        model = build(name)
        model.set_input_size((32, 80))
        assert load_anchor(model).input.size == (3, 32, 80)
        check_features(check_segments(model, training=False))


def test_excluded_from_weight_decay_are_token_positions_and_bias_tables() -> None:
    names = load_anchor(build("both biases")).no_weight_decay()
    tables = {
        f"{place}.relative_position_bias_table" for place in ("rel_pos_bias", *(f"blocks.{n}.attn" for n in range(3)))
    }
    assert names == {"cls_token", "pos_embed", *tables}


def test_base_and_large_have_25_stitches() -> None:
    with torch.device("meta"):
        net = snnet.stitch("beit_large_patch16_224", "beit_base_patch16_224")
    assert [net.anchor(number).depth for number in range(2)] == [12, 24]
    assert len(net.space) == 25
