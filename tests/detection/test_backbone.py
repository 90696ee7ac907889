"""Detectors of torchvision on stitched networks."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torchvision.models.detection import FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

import snnet
from snnet.data import SceneSource
from snnet.detection import DetectionScenes, StitchedBackbone, collate
from snnet.errors import HeadError, SpaceError
from snnet.network import SNNet

SIZE = 56
FAMILIES = {"vit": ("vit_fm_tiny", "vit_fm_small"), "cnn": ("resnet_fm_tiny", "resnet_fm_small")}


def network(kind: str) -> SNNet:
    torch.manual_seed(0)
    return snnet.stitch(*FAMILIES[kind], image_size=SIZE).set_taps(4).eval()


def detector(kind: type[nn.Module], backbone: StitchedBackbone, classes: int = 11) -> nn.Module:
    shapes = ((0.5, 1.0, 2.0),) * (len(backbone.strides) + 1)
    sizes = tuple((4 * stride,) for stride in (*backbone.strides, 2 * backbone.strides[-1]))
    generator = AnchorGenerator(sizes, shapes)
    more: dict[str, Any] = {"anchor_generator": generator} if kind is RetinaNet else {"rpn_anchor_generator": generator}
    if kind is not RetinaNet:
        more |= {"box_batch_size_per_image": 16, "rpn_post_nms_top_n_train": 50, "rpn_post_nms_top_n_test": 50}
    if kind is MaskRCNN:
        more["mask_roi_pool"] = MultiScaleRoIAlign(["0", "1", "2", "3"], 14, 2)
    return kind(backbone, num_classes=classes, **more, **backbone.input_options)


@pytest.mark.parametrize("kind", FAMILIES)
def test_maps_are_a_pyramid_of_the_networks_own(kind: str) -> None:
    net = network(kind)
    backbone = StitchedBackbone(net, out_channels=24).eval()
    assert backbone.strides == {"vit": (2, 4, 8, 16), "cnn": (4, 8, 16, 32)}[kind]
    images = torch.randn(2, 1, SIZE, SIZE)
    with torch.no_grad():
        found = backbone(images)
    grids = [-(-SIZE // stride) for stride in backbone.strides]
    assert [tuple(each.shape) for each in found.values()] == [
        (2, 24, grid, grid) for grid in (*grids, -(-grids[-1] // 2))
    ]
    assert list(found) == ["0", "1", "2", "3", "pool"]


@pytest.mark.parametrize("kind", FAMILIES)
def test_which_stitch_runs_is_changed_at_run_time(kind: str) -> None:
    net = network(kind)
    backbone, images = StitchedBackbone(net, 0, out_channels=8).eval(), torch.randn(1, 1, SIZE, SIZE)
    found = {}
    with torch.no_grad():
        for stitch in (0, net.space[-1].id, net.space[2]):
            backbone.stitch = stitch
            assert backbone.stitch == net.find(stitch)
            found[str(stitch)] = backbone(images)["0"]
            levels = backbone.pyramid(
                [norm(each) for norm, each in zip(backbone.norms, net.features(images, stitch), strict=True)]
            )
            if kind == "cnn":
                expected = backbone.fpn({str(number): level for number, level in enumerate(levels)})["0"]
                torch.testing.assert_close(found[str(stitch)], expected)
    first, *others = found.values()
    assert all((first - other).abs().max() > 1e-4 for other in others)
    with pytest.raises(SpaceError, match="No stitch '7:0-3'"):
        backbone.stitch = "7:0-3"


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("vit", FasterRCNN),
        ("cnn", RetinaNet),
        *[
            pytest.param(kind, make, marks=pytest.mark.slow)
            for kind, make in (("cnn", FasterRCNN), ("vit", RetinaNet), ("cnn", MaskRCNN), ("vit", MaskRCNN))
        ],
    ],
)
def test_detectors_train_and_detect(kind: str, make: Callable[..., nn.Module]) -> None:
    torch.manual_seed(0)
    net = network(kind)
    model = detector(make, StitchedBackbone(net, out_channels=32)).train()
    images, targets = collate([DetectionScenes(SceneSource())[index] for index in range(2)])
    model.backbone.stitch = len(net.space) - 1
    losses = model(images, targets)
    sum(losses.values()).backward()
    used = {id(p) for p in net.parameters_of(model.backbone.stitch)}
    reached = {id(p) for p in net.parameters() if p.grad is not None}
    heads = {id(p) for anchor in net.family for p in anchor.head_parameters()}
    between = {id(p) for p in net.layers.parameters()}  # also those that maps go through
    assert reached - between == used - heads - between
    model.eval()
    with torch.no_grad():
        for stitch in (0, 2):
            model.backbone.stitch = stitch
            (found,) = model([torch.rand(1, 80, 100)])  # images of any size: it scales boxes back
            assert found["boxes"].shape[1] == 4 and (found["boxes"] <= 100).all()
            assert found.keys() >= {"boxes", "labels", "scores"}


def test_boxes_are_pooled_where_they_are() -> None:
    """Of patches of 7 pixels the strides are no powers of two, as which torchvision's pooling takes them."""
    backbone = StitchedBackbone(network("vit"), out_channels=8)
    assert backbone.pyramid.reductions == (1.75, 3.5, 7, 14)
    image = torch.zeros(1, 1, SIZE, SIZE)
    pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 4, 2)
    with torch.no_grad():
        maps = backbone.eval()(image)
    pool(dict(maps), [torch.tensor([[4.0, 4.0, 20.0, 20.0]])], [(SIZE, SIZE)])
    assert pool.scales == [1 / stride for stride in backbone.strides]
    for each, stride in zip(maps.values(), backbone.strides, strict=False):
        assert each.shape[-1] == SIZE // stride or SIZE % stride


def test_networks_without_maps_are_refused_with_the_way() -> None:
    net = snnet.stitch(*FAMILIES["cnn"])
    with pytest.raises(HeadError, match=r"gives no feature maps .*net\.set_taps\(4\).*snnet\.initialize"):
        StitchedBackbone(net)


def test_three_stages_have_a_fourth_level() -> None:
    models = [timm.create_model(f"levit_fm_{size}", img_size=64) for size in ("small", "base")]
    net = snnet.stitch(*models).set_taps(3).eval()
    backbone = StitchedBackbone(net, out_channels=8).eval()
    assert backbone.strides == (8, 16, 32, 64)
    assert len(backbone(torch.randn(1, 1, 64, 64))) == 5
