"""Maps that anchors give between their blocks: timm's `forward_intermediates` is the reference, at two image sizes."""

import pytest
import timm
import torch
from torch import Tensor, nn

import snnet
from snnet.anchors import Anchor, load_anchor
from snnet.layers import map_of
from snnet.space import FeatureSpec, map_specs
from tests.anchors.checks import disturbed, random_images
from tests.anchors.families import FAMILIES

LEVIT = {"embed_dim": (16, 24, 32), "key_dim": 8, "num_heads": (2, 3, 4), "depth": (1, 2, 1), "num_classes": 3}
# Family, variant, and another image size.
MODELS = {
    "deit": ("vit", "deit_tiny_patch16_224", (64, 80)),
    "vit with registers": ("vit", "vit_small_patch14_reg4_dinov2", (56, 84)),
    "beit": ("beit", "beit_base_patch16_224", (64, 32)),
    "eva02": ("eva", "eva02_tiny_patch14_224", (84, 70)),
    "rope": ("eva", "vit_small_patch16_rope_mixed_ape_224", (64, 80)),
    "swin": ("swin", "swin_tiny_patch4_window7_224", (92, 60)),
    "swinv2": ("swin", "swinv2_tiny_window8_256", (92, 60)),
    "hiera": ("hiera", "hiera_tiny_224", (96, 128)),
    "levit": ("levit", "", (80, 112)),
    "pvt": ("pvt", "pvt_v2_b0", (60, 90)),
    "xcit": ("xcit", "xcit_nano_12_p16_224", (64, 80)),
    "convnext": ("convnext", "convnext_tiny", (70, 99)),
    "resnet": ("resnet", "resnet18", (50, 75)),
    "regnet": ("regnet", "regnety_002", (50, 75)),
    "efficientnet": ("efficientnet", "mobilenetv2_050", (50, 75)),
    "mobilenetv3": ("mobilenetv3", "mobilenetv4_conv_small_035", (50, 75)),
}


def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    family, variant, _ = MODELS[name]
    model = FAMILIES[family].build(variant) if variant else timm.create_model("levit_128s", **LEVIT)
    return disturbed(model).eval()


def maps_of(anchor: Anchor, images: Tensor) -> list[Tensor]:
    """The maps after the blocks that `feature_info` names."""
    wanted = {info["block"] for info in anchor.feature_info}
    features, maps = anchor.enter(images), []
    for block in range(anchor.depth):
        features = anchor.run(features, block, block + 1)
        if block in wanted:
            maps.append(map_of(features, anchor.feature(block)))
    return maps


def timm_maps(model: nn.Module, images: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    """timm's maps of the same shapes, the last of each shape where all differ, which leaves out those of the stem."""
    found = model.forward_intermediates(images, norm=False, output_fmt="NCHW", intermediates_only=True)
    if len({each.shape for each in wanted}) == 1:
        return list(found)
    return [next(each for each in reversed(found) if each.shape == one.shape) for one in wanted]


def check_network(anchor: Anchor, images: Tensor, expected: list[Tensor]) -> None:
    """A network gives the same maps of its one anchor, one for each stage or block; of one size it has the last."""
    net = snnet.stitch(anchor, space="search").eval()
    found = net.features(images, 0, taps=len(anchor.depths) if len(anchor.depths) > 1 else anchor.depth)
    sizes = {each.shape[2:]: each for each in found}
    found = found if len(sizes) == 1 else list(sizes.values())
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("resized", [False, True], ids=["own size", "other size"])
@pytest.mark.parametrize("name", MODELS)
def test_maps_equal_timms_intermediates(name: str, resized: bool) -> None:
    size = MODELS[name][2]
    anchor = load_anchor(built(name), image_size=size if resized else None)
    assert (anchor.input.size[1:] == size) is resized
    images, model = random_images(anchor), anchor.model
    with torch.no_grad():
        found = maps_of(anchor, images)
        check_network(anchor, images, found)
        expected = timm_maps(model, images, found)
        if name == "pvt":  # of which timm's stages end with a norm, and ours do not
            norms = [stage.norm for stage in model.stages]
            found = [norm(each.movedim(1, -1)).movedim(-1, 1) for norm, each in zip(norms, found, strict=True)]
    assert len(found) == len(expected) == len(anchor.feature_info) > 1
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_maps_are_what_timm_says_of_them(name: str) -> None:
    """Widths and reductions are timm's, and those of its stems, which give no features of a block, are left out."""
    anchor = load_anchor(built(name))
    told = [(info["num_chs"], info["reduction"]) for info in anchor.feature_info]
    theirs = [(info["num_chs"], info["reduction"]) for info in anchor.model.feature_info]
    assert told == theirs[-len(told) :]


def test_reductions_are_told_where_strides_do_not_divide_the_images() -> None:
    grids = [(7, 14), (4, 7), (4, 7), (2, 4), (1, 2)]
    maps = map_specs((28, 56), [FeatureSpec(8 + number, "NCHW", grid) for number, grid in enumerate(grids)])
    assert [spec.reduction for spec in maps] == [4, 8, 8, 16, 32]
    assert [spec.channels for spec in maps] == [8, 9, 10, 11, 12]
