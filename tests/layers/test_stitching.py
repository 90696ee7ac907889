import pytest
import torch

from snnet.errors import AnchorError
from snnet.layers import StitchingLayer
from snnet.space import FeatureSpec, Layout


def test_a_stitching_layer_is_a_1x1_convolution() -> None:
    layer = StitchingLayer(FeatureSpec(6, "tokens", (4, 4), 1), FeatureSpec(9, "tokens", (4, 4), 1))
    features = torch.randn(2, 17, 6)
    convolved = torch.nn.functional.conv1d(
        features.transpose(1, 2), layer.transform.weight[:, :, None], layer.transform.bias
    )
    torch.testing.assert_close(layer(features), convolved.transpose(1, 2))


LAYOUTS = [FeatureSpec(9, "tokens", (4, 6)), FeatureSpec(9, "NHWC", (4, 6)), FeatureSpec(9, "NCHW", (4, 6))]


@pytest.mark.parametrize("target", LAYOUTS, ids=lambda spec: f"to {spec.layout}")
@pytest.mark.parametrize("source", LAYOUTS, ids=lambda spec: f"from {spec.layout}")
def test_layouts_change_and_positions_stay(source: FeatureSpec, target: FeatureSpec) -> None:
    layer = StitchingLayer(source, target)
    image = torch.randn(2, 4, 6, 9)
    shown = {"tokens": image.flatten(1, 2), "NHWC": image, "NCHW": image.permute(0, 3, 1, 2)}
    mapped = layer.transform(image)
    expected = {"tokens": mapped.flatten(1, 2), "NHWC": mapped, "NCHW": mapped.permute(0, 3, 1, 2)}
    torch.testing.assert_close(layer(shown[source.layout]), expected[target.layout])


def test_tokens_on_one_side_only() -> None:
    with_class, without = FeatureSpec(6, "tokens", (4, 4), 1), FeatureSpec(9, "NHWC", (4, 4))
    tokens = torch.randn(2, 17, 6)
    dropping = StitchingLayer(with_class, without)
    torch.testing.assert_close(dropping(tokens), dropping.transform(tokens[:, 1:]).reshape(2, 4, 4, 9))
    adding = StitchingLayer(FeatureSpec(6, "NCHW", (4, 4)), FeatureSpec(9, "tokens", (4, 4), 2))
    image = torch.randn(2, 6, 4, 4)
    mapped = adding.transform(image.flatten(2).transpose(1, 2))
    found = adding(image)
    torch.testing.assert_close(found[:, 2:], mapped)
    torch.testing.assert_close(found[:, :2], mapped.mean(dim=1, keepdim=True).expand(-1, 2, -1))


@pytest.mark.parametrize("layout", ["tokens", "NHWC", "NCHW"])
def test_grids_that_differ_by_an_integer_factor_are_resampled_on_request(layout: Layout) -> None:
    fine, coarse = FeatureSpec(6, layout, (4, 8)), FeatureSpec(6, "NCHW", (2, 2))
    image = torch.randn(3, 6, 4, 8)
    shown = {"tokens": image.flatten(2).transpose(1, 2), "NHWC": image.permute(0, 2, 3, 1), "NCHW": image}
    shrinking = StitchingLayer(fine, coarse, resample=True)
    conv = shrinking.transform.weight[:, :, None, None], shrinking.transform.bias
    pooled = torch.nn.functional.avg_pool2d(image, (2, 4))
    torch.testing.assert_close(shrinking(shown[layout]), torch.nn.functional.conv2d(pooled, *conv))
    growing = StitchingLayer(coarse, FeatureSpec(6, "NCHW", (4, 8)), resample=True)
    conv = growing.transform.weight[:, :, None, None], growing.transform.bias
    repeated = torch.nn.functional.interpolate(pooled, size=(4, 8), mode="nearest")
    torch.testing.assert_close(growing(pooled), torch.nn.functional.conv2d(repeated, *conv))


def test_grids_that_differ_are_refused() -> None:
    source = FeatureSpec(6, "tokens", (4, 4), 1)
    with pytest.raises(AnchorError, match=r"grid is 4x4 in front and 2x2 behind.*resample=True"):
        StitchingLayer(source, FeatureSpec(9, "tokens", (2, 2), 1))
    for resample in (False, True):
        with pytest.raises(AnchorError, match=r"grid is 4x4 in front and 3x4 behind, not a whole number of times"):
            StitchingLayer(source, FeatureSpec(9, "tokens", (3, 4), 1), resample=resample)
