"""What the tests of all convolutional families check."""

import copy

import timm
import torch
from torch import nn

from snnet.anchors import Anchor, load_anchor


def build(name: str, size: tuple[int, int, int] = (3, 64, 64), **kwargs: object) -> Anchor:
    """A timm model with random weights and statistics, 7 classes and small images."""
    torch.manual_seed(0)
    overlay = {"input_size": size}
    model = timm.create_model(name, num_classes=7, in_chans=size[0], pretrained_cfg_overlay=overlay, **kwargs)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return load_anchor(model)


def run_segments(anchor: Anchor, images: torch.Tensor) -> torch.Tensor:
    """Run stem, blocks and head, and check every shape on the way."""
    features = anchor.stem(images)
    assert features.shape[1:] == anchor.feature(-1).shape
    for index in range(anchor.depth):
        features = anchor.block(index, features)
        assert features.shape[1:] == anchor.feature(index).shape
    return anchor.head(features)


def check_segments(anchor: Anchor, *, training: bool) -> None:
    """Segments give timm's logits to 1e-5, and in training also its running statistics."""
    anchor.train(training)
    reference = copy.deepcopy(anchor.model)
    images = torch.randn(4, *anchor.input.size)
    with torch.no_grad():
        expected, found = reference(images), run_segments(anchor, images)
    assert found.shape == (4, anchor.num_classes)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    own = anchor.model.state_dict()
    for key, tensor in reference.state_dict().items():
        torch.testing.assert_close(own[key], tensor, rtol=1e-5, atol=1e-5)


def check_parameters(anchor: Anchor) -> None:
    """Stem, blocks and head share out all parameters, none twice and none left in the stem by mistake."""
    parts = [*anchor.stem_parameters(), *anchor.head_parameters()]
    parts += [p for k in range(anchor.depth) for p in anchor.block_parameters(k)]
    assert sorted(map(id, parts)) == sorted(map(id, anchor.model.parameters()))
    images = torch.randn(2, *anchor.input.size)
    features = anchor.eval().stem(images).sum()
    features.backward()
    touched = {id(p) for p in anchor.model.parameters() if p.grad is not None}
    assert touched == {id(p) for p in anchor.stem_parameters()}
    anchor.zero_grad(set_to_none=True)
