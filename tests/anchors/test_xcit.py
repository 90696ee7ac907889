import pytest
import timm
import torch

import snnet
from snnet.anchors import Anchor, load_anchor
from snnet.network import SNNet
from snnet.space import StitchSpace
from tests.anchors.checks import check_features, check_parameters, check_recomputing, check_segments

TINY = {"embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 5}
VARIANTS = {
    "xcit_nano_12_p16_224": {"img_size": (48, 64)},
    "xcit_medium_24_p16_224": {"img_size": 48, "in_chans": 1, "global_pool": "avg"},
    "xcit_tiny_12_p8_224": {"img_size": (32, 24), "use_pos_embed": False, "cls_attn_layers": 1},
}


def build(name: str, **options: object) -> torch.nn.Module:
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


def test_checkpointed_blocks_give_the_same_gradients() -> None:
    check_recomputing(build("xcit_nano_12_p16_224"))


def test_the_class_token_belongs_to_the_head() -> None:
    """A route that enters in the middle uses the back anchor's class token, though it never runs its stem."""
    anchors: list[Anchor] = [load_anchor(build("xcit_nano_12_p16_224", embed_dim=width)) for width in (16, 32)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors])).eval()
    route = net.space.find("0:0-2,1:2-3")
    net(torch.randn(1, *net.input.size), route).square().sum().backward()
    moved = {parameter for parameter in net.parameters() if parameter.grad is not None}
    assert moved == set(net.parameters_of(route))
    assert net.anchor(1).model.cls_token in moved and net.anchor(0).model.cls_token not in moved


def test_excluded_from_weight_decay_are_class_token_and_positions() -> None:
    names = load_anchor(build("xcit_nano_12_p16_224")).no_weight_decay()
    assert names == {"cls_token", "pos_embed.token_projection.weight", "pos_embed.token_projection.bias"}


def test_models_of_12_and_24_blocks_have_25_stitches() -> None:
    with torch.device("meta"):
        net = snnet.stitch("xcit_small_24_p16_224", "xcit_tiny_12_p16_224")
    assert [net.anchor(number).depth for number in range(2)] == [12, 24]
    assert len(net.space) == 25
