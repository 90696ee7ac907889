import pytest
import torch
from timm.models.metaformer import Attention, LayerNorm2dNoBias, LayerNormNoBias, MetaFormer, SepConv

import snnet
from snnet.anchors import load_anchor
from tests.anchors.checks import check_features, check_parameters, check_recomputing, check_segments

SIZE = {"dims": (8, 16, 24, 32), "depths": (2, 2, 3, 1), "head_dim": 8, "num_classes": 5}
MIXERS = {
    "token_mixers": [SepConv, SepConv, Attention, Attention],
    "norm_layers": [LayerNorm2dNoBias] * 2 + [LayerNormNoBias] * 2,
}
VARIANTS = {
    "caformer": ((3, 64, 96), MIXERS),
    "linear head": ((1, 60, 64), {**MIXERS, "use_mlp_head": False, "layer_scale_init_values": 0.1}),
    # Between stages of equal width is nothing.
    "attention alone": (
        (3, 64, 64),
        {"token_mixers": Attention, "norm_layers": LayerNormNoBias, "dims": (8, 8, 16, 16)},
    ),
}


def build(name: str) -> torch.nn.Module:
    size, options = VARIANTS[name]
    model = MetaFormer(in_chans=size[0], **{**SIZE, **options})
    model.pretrained_cfg = {"input_size": size}
    return model


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
    check_recomputing(build("caformer"))


def test_stages_of_attention_are_opened() -> None:
    anchor = load_anchor(build("caformer"))
    assert anchor.depths == (2, 2, 3, 1) and anchor.stages == (0, 1, 2, 3)
    assert [anchor.feature(index).channels for index in range(-1, 8)] == [8] * 3 + [16] * 2 + [24] * 3 + [32]
    way = [id(p) for p in anchor.model.stages[2].downsample.parameters()]
    assert way and way == [id(p) for p in anchor.block_parameters(4)][: len(way)]


def test_s18_and_s36_have_34_stitches() -> None:
    with torch.device("meta"):
        net = snnet.stitch("caformer_s36", "caformer_s18")
    assert [net.anchor(number).name for number in range(2)] == ["caformer_s18", "caformer_s36"]
    assert len(net.space) == 34
