"""What every anchor family must satisfy, checked on a built model."""

import copy
from dataclasses import replace

import torch
from torch import nn

from snnet.anchors import Anchor, batch_norms, load_anchor

SEED = 1


def disturbed(model: nn.Module) -> nn.Module:
    """Move every parameter and all running statistics, so that none hides behind an initial zero or one."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
        for norm in batch_norms([model]):
            norm.running_mean.uniform_(-0.2, 0.2, generator=generator)
            norm.running_var.uniform_(0.5, 1.5, generator=generator)
    return model


def random_images(anchor: Anchor, count: int = 2) -> torch.Tensor:
    return torch.randn(count, *anchor.input.size, generator=torch.Generator().manual_seed(SEED))


def run_segments(anchor: Anchor, images: torch.Tensor) -> torch.Tensor:
    """Run stem, blocks and head, and check that every feature has the shape that the anchor says."""
    features = anchor.enter(images)
    assert tuple(features.shape[1:]) == anchor.feature(-1).shape
    for index in range(anchor.depth):
        features = anchor.block(index, features)
        assert tuple(features.shape[1:]) == anchor.feature(index).shape, index
    return anchor.head(features)


def check_segments(model: nn.Module, *, training: bool, tolerance: float = 1e-6) -> Anchor:
    """The parts, run one after another, do what timm's own forward pass does, to outputs and to running statistics.

    What is drawn in training, such as the blocks that drop path leaves out, is drawn alike.
    """
    reference = copy.deepcopy(disturbed(model)).train(training)
    anchor = load_anchor(model).train(training)
    images = random_images(anchor)
    with torch.no_grad():
        torch.manual_seed(SEED)
        expected = reference(images)
        torch.manual_seed(SEED)
        found = run_segments(anchor, images)
    assert found.shape == (2, anchor.num_classes)
    assert expected.std() > 1e-3
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()
    before, after = reference.state_dict(), anchor.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    return anchor


def check_renormalization(anchor: Anchor) -> None:
    """A view that takes images of another normalization gives what the anchor gives for its own."""
    spec, count = anchor.input, len(anchor.input.mean)
    other = replace(spec, mean=(0.2,) * count, std=(3.0,) * count)
    images = random_images(anchor.eval())
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    with torch.no_grad():
        expected = anchor.model((images * 3.0 + 0.2 - mean) / std)
        torch.testing.assert_close(run_segments(anchor.taking_images_of(other), images), expected, rtol=1e-4, atol=1e-4)


def check_parameters(anchor: Anchor) -> None:
    """Stem, blocks and head share out all parameters, and each uses just its own."""
    blocks = {id(p) for index in range(anchor.depth) for p in anchor.block_parameters(index)}
    stem, head = ({id(p) for p in part()} for part in (anchor.stem_parameters, anchor.head_parameters))
    assert not (stem & blocks or stem & head or blocks & head)
    assert stem | blocks | head == {id(p) for p in anchor.model.parameters()}
    anchor.train()
    images = random_images(anchor)
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
    images = random_images(anchor)
    kept, gradients = [], []
    for enable in (False, True):
        anchor.model.set_grad_checkpointing(enable)
        assert all(anchor.recomputes(index) is enable for index in range(anchor.depth))
        anchor.zero_grad()
        torch.manual_seed(SEED)
        sizes: list[int] = []
        features = anchor.stem(images)
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            features = anchor.run(features, 0, anchor.depth)
        output = anchor.head(features)
        kept.append(sum(sizes))
        output.square().sum().backward()
        gradients.append([p.grad.clone() for p in anchor.model.parameters()])
    assert kept[1] < 0.7 * kept[0]
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain)
