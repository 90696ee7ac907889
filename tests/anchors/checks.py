"""What every anchor family must satisfy, checked on a built model."""

import copy

import torch
from torch import nn

from snnet.anchors import Anchor, load_anchor


def disturbed(model: nn.Module) -> nn.Module:
    """Move every parameter, so that none of them hides behind an initial zero or one."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


def check_segments(model: nn.Module, *, training: bool) -> Anchor:
    """The parts, run one after another, do what timm's own forward pass does, to outputs and to running statistics."""
    reference = copy.deepcopy(disturbed(model)).train(training)
    anchor = load_anchor(model).train(training)
    images = torch.randn(2, *anchor.input.size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference(images)
        found = anchor.head(anchor.run(anchor.stem(images), 0, anchor.depth))
    assert found.shape == (2, anchor.num_classes)
    assert expected.std() > 1e-3
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    before, after = reference.state_dict(), anchor.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    return anchor


def check_features(anchor: Anchor) -> None:
    """Every `feature(i)` is the true shape."""
    anchor.eval()
    images = torch.randn(1, *anchor.input.size)
    with torch.no_grad():
        features = anchor.stem(images)
        assert tuple(features.shape[1:]) == anchor.feature(-1).shape
        for index in range(anchor.depth):
            features = anchor.block(index, features)
            assert tuple(features.shape[1:]) == anchor.feature(index).shape, index


def check_parameters(anchor: Anchor) -> None:
    """Stem, blocks and head share out all parameters, and each uses just its own."""
    blocks = {id(p) for index in range(anchor.depth) for p in anchor.block_parameters(index)}
    stem, head = ({id(p) for p in part()} for part in (anchor.stem_parameters, anchor.head_parameters))
    assert not (stem & blocks or stem & head or blocks & head)
    assert stem | blocks | head == {id(p) for p in anchor.model.parameters()}
    anchor.train()
    images = torch.randn(2, *anchor.input.size)
    inputs = [anchor.stem(images).detach()]
    for index in range(anchor.depth):
        inputs.append(anchor.block(index, inputs[-1]).detach())
    assert reached(anchor, anchor.stem(images)) == stem
    for index in range(anchor.depth):
        assert reached(anchor, anchor.block(index, inputs[index])) == {id(p) for p in anchor.block_parameters(index)}
    assert reached(anchor, anchor.head(inputs[-1])) == head


def reached(anchor: Anchor, output: torch.Tensor) -> set[int]:
    """Return the parameters that get a gradient."""
    anchor.zero_grad(set_to_none=True)
    output.square().sum().backward()
    return {id(p) for p in anchor.model.parameters() if p.grad is not None}


def check_recomputing(model: nn.Module) -> None:
    """With timm's gradient checkpointing a block keeps less for the backward pass, and gradients are the same."""
    anchor = load_anchor(disturbed(model)).train()
    images = torch.randn(2, *anchor.input.size)
    kept, gradients = [], []
    for enable in (False, True):
        anchor.model.set_grad_checkpointing(enable)
        anchor.zero_grad()
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            output = anchor.head(anchor.run(anchor.stem(images), 0, anchor.depth))
        kept.append(sum(sizes))
        output.square().sum().backward()
        gradients.append([p.grad.clone() for p in anchor.model.parameters()])
    assert kept[1] < 0.7 * kept[0]
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain)
