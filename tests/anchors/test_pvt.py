import pytest
import timm
import torch

import snnet
from snnet.anchors import load_anchor
from tests.anchors.checks import check_features, check_parameters, check_recomputing, check_segments

TINY = {"embed_dims": (8, 16, 24, 32), "depths": (2, 2, 3, 1), "num_heads": (1, 2, 3, 4), "num_classes": 5}
SIZES = {
    "pvt_v2_b0": (3, 64, 96),
    # Grids 15x16, 8x8, 4x4, 2x2: overlapping patches pad.
    "pvt_v2_b2": (3, 60, 64),
    "pvt_v2_b5": (1, 64, 64),
    "pvt_v2_b2_li": (3, 64, 96),
}


def build(name: str) -> torch.nn.Module:
    size = SIZES[name]
    options = {"in_chans": size[0], "pretrained_cfg_overlay": {"input_size": size}, "drop_path_rate": 0.0}
    return timm.create_model(name, **TINY, **options)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("training", [False, True])
def test_segments_equal_timms_forward(name: str, training: bool) -> None:
    check_segments(build(name), training=training)


@pytest.mark.parametrize("name", SIZES)
def test_features_are_as_described(name: str) -> None:
    anchor = load_anchor(build(name))
    assert anchor.input.size == SIZES[name]
    check_features(anchor)


@pytest.mark.parametrize("name", SIZES)
def test_stem_blocks_and_head_share_out_all_parameters(name: str) -> None:
    check_parameters(load_anchor(build(name)))


@pytest.mark.parametrize("name", ["pvt_v2_b0", "pvt_v2_b2_li"])
def test_checkpointed_blocks_give_the_same_gradients(name: str) -> None:
    check_recomputing(build(name))


def test_the_way_into_a_stage_belongs_to_its_first_block() -> None:
    anchor = load_anchor(build("pvt_v2_b0"))
    assert anchor.depths == (2, 2, 3, 1) and anchor.stages == (0, 1, 2)
    assert [anchor.feature(index).channels for index in range(-1, 8)] == [8] * 3 + [16] * 2 + [24] * 3 + [32]
    stages = anchor.model.stages
    way = [id(p) for module in (stages[0].norm, stages[1].downsample) for p in module.parameters()]
    assert way == [id(p) for p in anchor.block_parameters(2)][: len(way)]
    assert {id(p) for p in stages[3].norm.parameters()} <= {id(p) for p in anchor.head_parameters()}


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


def test_nothing_of_it_is_named_as_free_of_weight_decay() -> None:
    assert load_anchor(build("pvt_v2_b0")).no_weight_decay() == set()


@pytest.mark.parametrize(
    ("small", "large", "stitches"),
    [("pvt_v2_b0", "pvt_v2_b1", 5), ("pvt_v2_b1", "pvt_v2_b2", 12), ("pvt_v2_b2", "pvt_v2_b3", 24)],
)
def test_neighbors_have_so_many_stitches(small: str, large: str, stitches: int) -> None:
    with torch.device("meta"):
        net = snnet.stitch(large, small)
    assert [net.anchor(number).name for number in range(2)] == [small, large]
    assert len(net.space) == stitches
