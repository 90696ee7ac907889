import copy

import pytest
import timm
import torch
from torch import nn

import snnet
from snnet.anchors import ANCHORS, Anchor, load_anchor
from snnet.anchors.generic import GenericAnchor
from snnet.errors import AnchorError
from tests.anchors.checks import run_segments

PLACED = {
    "mixer_s32_224": (8,),
    "resmlp_12_224": (12,),
    "poolformer_s12": (2, 2, 6, 2),
    "nf_resnet26": (2, 2, 2, 2),
    "darknet53": (1, 2, 8, 8, 4),
    "repvgg_a0": (2, 4, 14, 1),
    "repvit_m0_9": (2, 2, 14, 2),
    "resnetv2_18": (2, 2, 2, 2),
    "mambaout_femto": (3, 3, 9, 3),
    "starnet_s1": (3, 3, 9, 4),
    "edgenext_xx_small": (2, 3, 7, 3),
    "fasternet_t0": (1, 2, 8, 2),
    "coatnet_nano_rw_224": (3, 4, 6, 3),  # timm groups its stages as blocks
    "efficientformer_l1": (3, 2, 6, 3, 1),  # maps first, then tokens
    "tresnet_m": (4, 4, 11, 3),  # its first convolution takes 48 channels
}
SQUARE = {"mixer_s32_224", "resmlp_12_224", "coatnet_nano_rw_224", "efficientformer_l1"}
REFUSED = {
    "cait_xxs24_224": r"its 'pos_drop' cannot be placed: it does not receive what 'patch_embed' gives",
    "mvitv2_tiny": r"its 'stages\.0' cannot be placed: it receives more than the one tensor",
    "hrnet_w18_small": r"its 'transition1\.1' cannot be placed: it does not receive what 'transition1\.0' gives",
    "coat_lite_tiny": r"its 'serial_blocks1\.0' cannot be placed",
    "densenet121": r"denseblock\d' cannot be opened, for its 'features\.denseblock\d\.denselayer1' cannot be placed",
    "cspresnet50": r"its 'stages\.3' cannot be opened, for its 'stages\.3\.blocks' cannot be placed: it does not",
    "rexnet_100": r"its 'features\.15' cannot be opened, for the end of its 'features\.15' cannot be placed",
    "crossvit_9_240": r"'blocks\.0' of crossvit_9_240 gives list, not one tensor",
    "coat_tiny": r"'parallel_blocks\.0' of coat_tiny gives tuple, not one tensor",
}


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    overlay = {} if name in SQUARE else {"pretrained_cfg_overlay": {"input_size": (3, 96, 64)}}
    return timm.create_model(name, num_classes=7, **overlay)


@pytest.mark.parametrize("name", PLACED)
def test_segments_equal_timms_forward(name: str) -> None:
    model = build(name)
    anchor = load_anchor(model).eval()
    assert isinstance(anchor, GenericAnchor)
    assert anchor.depths == PLACED[name]
    images = torch.randn(2, *anchor.input.size)
    with torch.no_grad():
        expected, found = model(images), run_segments(anchor, images)
    assert found.shape == (2, anchor.num_classes) == (2, 7)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", ["mixer_s32_224", "repvgg_a0", "edgenext_xx_small"])
def test_stem_blocks_and_head_share_out_all_parameters(name: str) -> None:
    anchor = load_anchor(build(name))
    parts = [*anchor.stem_parameters(), *anchor.head_parameters()]
    parts += [p for k in range(anchor.depth) for p in anchor.block_parameters(k)]
    assert sorted(map(id, parts)) == sorted(map(id, anchor.model.parameters()))
    classifier = {id(p) for p in anchor.model.get_classifier().parameters()}
    assert classifier <= {id(p) for p in anchor.head_parameters()}


def test_training_mode_updates_statistics_as_the_model_does() -> None:
    anchor = load_anchor(build("repvgg_a0")).train()
    reference = copy.deepcopy(anchor.model)
    images = torch.randn(4, *anchor.input.size)
    with torch.no_grad():
        torch.testing.assert_close(run_segments(anchor, images), reference(images), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(anchor.model.state_dict(), reference.state_dict(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_placed_is_named(name: str) -> None:
    with pytest.raises(AnchorError, match=REFUSED[name]):
        load_anchor(timm.create_model(name))


def test_the_image_size_is_that_of_the_grid_of_patches() -> None:
    anchor = load_anchor(timm.create_model("mixer_s32_224", img_size=(64, 96)))
    assert anchor.input.size == (3, 64, 96)
    assert anchor.feature(0).grid == (2, 3)


def test_a_model_built_for_another_size_is_told_how_to_say_so() -> None:
    with pytest.raises(AnchorError, match=r"cannot run on a sample of shape \(B, 3, 224, 224\): .*cfg_overlay=.*"):
        load_anchor(timm.create_model("coatnet_nano_rw_224", img_size=64))


def test_models_are_watched_without_a_trace() -> None:
    model = build("repvgg_a0").train()
    before = copy.deepcopy(model.state_dict())
    load_anchor(model)
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


class Twisted(type(build("repvgg_a0"))):  # type: ignore[misc]
    """Its forward pass is not its `forward_features` and `forward_head`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def test_the_proof_is_run_when_an_anchor_is_made() -> None:
    model = build("repvgg_a0")
    model.__class__ = Twisted
    with pytest.raises(AnchorError, match="the head of repvgg_a0 differs from its forward pass"):
        load_anchor(model)


def test_families_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(GenericAnchor):
        @classmethod
        def accepts(cls, model: nn.Module) -> bool:
            return type(model).__name__ == "ByobNet"

    monkeypatch.setattr(ANCHORS, "_entries", dict(ANCHORS._entries))
    snnet.ANCHORS.register("mine")(Mine)
    assert type(load_anchor(build("repvgg_a0"))) is Mine
    assert type(load_anchor(build("resnetv2_18"))) is GenericAnchor


def test_two_mixers_make_one_network() -> None:
    with torch.device("meta"):
        net = snnet.stitch("mixer_s16_224", "mixer_b16_224")
    assert len(net.space) == 2 + 11
    assert isinstance(net.anchor(0), Anchor)
    assert len(snnet.profile(net)) == 13
