import copy

import pytest
import torch
from timm.models.levit import Levit, LevitDistilled

import snnet
from snnet.anchors import load_anchor
from tests.anchors.checks import check_features, check_parameters, check_recomputing, check_segments

TINY = {"embed_dim": (16, 24, 32), "key_dim": 8, "num_heads": (2, 3, 4), "depth": (2, 3, 1), "num_classes": 5}
VARIANTS = {
    # Grids 7, 4, 2: of odd sides the larger half is kept.
    "two heads": (LevitDistilled, {"img_size": 112}),
    "one head": (Levit, {"img_size": (64, 96), "in_chans": 1}),
    "stride 8": (LevitDistilled, {"img_size": 40, "stem_type": "s8", "act_layer": "silu"}),
    "convolutions": (LevitDistilled, {"img_size": (64, 96), "use_conv": True}),
}


def build(name: str) -> Levit:
    kind, options = VARIANTS[name]
    return kind(**{**TINY, **options})


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
    check_recomputing(build("two heads"))


def test_a_block_is_an_attention_and_its_mlp() -> None:
    anchor = load_anchor(build("two heads"))
    assert anchor.depths == (2, 3, 1) and anchor.stages == (0, 1)
    assert [anchor.feature(index).grid for index in range(-1, 6)] == [(7, 7)] * 3 + [(4, 4)] * 3 + [(2, 2)]
    subsampling = [id(p) for p in anchor.model.stages[1].downsample.parameters()]
    assert subsampling and subsampling == [id(p) for p in anchor.block_parameters(2)][: len(subsampling)]


def test_evaluation_with_gradients_leaves_no_graph_behind() -> None:
    anchor = load_anchor(build("two heads")).eval()
    images = torch.randn(2, *anchor.input.size)
    with torch.no_grad():
        expected = anchor.head(anchor.run(anchor.stem(images), 0, anchor.depth))
    for _ in range(2):
        output = anchor.head(anchor.run(anchor.stem(images), 0, anchor.depth))
        output.sum().backward()
    torch.testing.assert_close(output, expected)
    assert not any(module.training for module in anchor.modules())
    copied = copy.deepcopy(anchor)
    torch.testing.assert_close(copied.head(copied.run(copied.stem(images), 0, copied.depth)), expected)


def test_the_published_family_has_8_stitches() -> None:
    with torch.device("meta"):
        net = snnet.stitch("levit_256", "levit_192")
    assert [net.anchor(number).name for number in range(2)] == ["levit_192", "levit_256"]
    assert [net.anchor(0).feature(index).grid for index in (-1, 4, 8)] == [(14, 14), (7, 7), (4, 4)]
    assert len(net.space) == 8
