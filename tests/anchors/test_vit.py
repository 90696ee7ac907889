import pytest
import timm
import torch
from torch import nn

from snnet.anchors import load_anchor

VARIANTS = {
    "deit_tiny_patch16_224": {},
    "deit_tiny_distilled_patch16_224": {},
    "deit3_small_patch16_224": {"depth": 3},
    "vit_tiny_patch16_384": {"depth": 3},
    "vit_small_patch8_224": {"depth": 2, "num_classes": 3},
    "vit_small_patch16_224.augreg_in21k": {"depth": 2, "num_classes": 7},
    "vit_small_patch14_reg4_dinov2": {"depth": 2, "img_size": 70, "num_classes": 5},
    "vit_base_patch16_clip_224": {"depth": 2, "num_classes": 5},
    "vit_medium_patch16_gap_240": {"depth": 2},
    "vit_base_patch16_siglip_224": {"depth": 2, "num_classes": 4},
    "vit_tiny_patch16_224": {"in_chans": 1, "img_size": 32, "patch_size": 8, "dynamic_img_size": True},
}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("training", [False, True])
def test_segments_equal_timms_forward(name: str, training: bool) -> None:
    torch.manual_seed(0)
    model = timm.create_model(name, **VARIANTS[name])
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.05)
    anchor = load_anchor(model).train(training)
    images = torch.randn(2, *anchor.input.size)
    with torch.no_grad():
        expected = model(images)
        middle = anchor.depth // 2
        features = anchor.run(anchor.stem(images), 0, middle)
        height, width = anchor.feature(middle - 1).grid
        spec = anchor.feature(middle - 1)
        assert features.shape == (2, height * width + spec.prefix_tokens, spec.channels)
        found = anchor.head(anchor.run(features, middle, anchor.depth))
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()
    assert found.shape == (2, anchor.num_classes)


def test_stem_blocks_and_head_share_out_all_parameters() -> None:
    anchor = load_anchor("deit_tiny_distilled_patch16_224")
    parts = [*anchor.stem_parameters(), *anchor.head_parameters()]
    parts += [p for k in range(anchor.depth) for p in anchor.block_parameters(k)]
    assert sorted(map(id, parts)) == sorted(map(id, anchor.model.parameters()))
    assert anchor.no_weight_decay() == {"pos_embed", "cls_token", "reg_token", "dist_token"}


def test_checkpointed_blocks_give_the_same_gradients() -> None:
    anchor = load_anchor(timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=3)).train()
    images = torch.randn(2, 3, 32, 32)
    gradients = []
    for enable in (False, True):
        anchor.model.set_grad_checkpointing(enable)
        anchor.zero_grad()
        anchor.head(anchor.run(anchor.stem(images), 0, 2)).sum().backward()
        gradients.append(anchor.model.blocks[0].attn.qkv.weight.grad.clone())
    torch.testing.assert_close(*gradients)
