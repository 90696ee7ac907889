import pytest
import torch

from snnet.errors import AnchorError
from snnet.layers import StitchingLayer
from snnet.specs import FeatureSpec


def test_a_stitching_layer_is_a_1x1_convolution() -> None:
    layer = StitchingLayer(FeatureSpec(6, "tokens", (4, 4), 1), FeatureSpec(9, "tokens", (4, 4), 1))
    features = torch.randn(2, 17, 6)
    convolved = torch.nn.functional.conv1d(
        features.transpose(1, 2), layer.transform.weight[:, :, None], layer.transform.bias
    )
    torch.testing.assert_close(layer(features), convolved.transpose(1, 2))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (FeatureSpec(9, "tokens", (2, 2), 1), r"grid is \(4, 4\) in front and \(2, 2\) behind"),
        (FeatureSpec(9, "tokens", (4, 4), 2), "prefix_tokens is 1 in front and 2 behind"),
        (FeatureSpec(9, "nchw", (4, 4), 1), "layout is tokens in front and nchw behind"),
    ],
)
def test_maps_of_different_size_are_refused(target: FeatureSpec, message: str) -> None:
    with pytest.raises(AnchorError, match=message):
        StitchingLayer(FeatureSpec(6, "tokens", (4, 4), 1), target)
