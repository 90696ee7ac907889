"""What a change of a feature does to an anchor's answers, from gradients."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import linear

from snnet.init import Solution
from snnet.layers import fit_positions, to_positions
from snnet.network import SNNet, ends_of
from snnet.searching.scoring import whole_anchor
from snnet.space import Cut

PARTS = 8
"""Parts of the images, one after another, for a backward pass keeps all that happens inside of the blocks."""


class Sensitivities:
    """How much each anchor's answers change when its features do.

    To second order, the divergence that a small error `e` of a feature causes is half of `e' F e`, where `F`, the
    Fisher information, is the mean of `g g'` over gradients `g` of log-probabilities of classes that are drawn from
    its own answers (`Task.draws`). So it takes a product of error and gradient, and no run of the blocks behind.

    Args:
        net: The network, in evaluation mode.
        images: A few images `(N, C, H, W)`.
        draws: Classes, or what the task has, drawn for each image from torch's random state.
    """

    def __init__(self, net: SNNet, images: Tensor, draws: int = 2) -> None:
        self.net = net
        self.features: dict[tuple[int, int], Tensor] = {}
        self.gradients: dict[tuple[int, int], list[Tensor]] = {}
        for number, anchor in enumerate(net.family):
            parts = [list(self._run(number, part, draws)) for part in torch.split(images, max(1, len(images) // PARTS))]
            for block, found in enumerate(zip(*parts, strict=True), start=-1):
                spec = anchor.feature(block)
                self.features[number, block] = torch.cat([to_positions(feature, spec) for feature, _ in found])
                drawn = zip(*(gradients for _, gradients in found), strict=True)
                self.gradients[number, block] = [torch.cat([to_positions(g, spec) for g in draw]) for draw in drawn]

    def divergence(self, cut: Cut, solution: Solution) -> float:
        """Return the divergence, in nats, that a map at a cut is expected to cause in the anchor behind it."""
        source, target = ends_of(self.net.family, cut)
        front = fit_positions(self.features[cut.front, cut.leave], source, target)
        back = self.features[cut.back, cut.enter - 1]
        error = linear(front, solution.weight.T.to(front), solution.bias.to(front)) - back
        changes = torch.stack([(error * g).flatten(1).sum(1) for g in self.gradients[cut.back, cut.enter - 1]])
        return float(changes.double().square().mean()) / 2

    def _outputs(self, number: int, features: Sequence[Tensor]) -> Tensor:
        """Return what an anchor gives, from what its stem and each of its blocks give."""
        if not self.net.has_head:
            return self.net.anchor(number).head(features[-1].clone())
        maps, outputs, place = list[Tensor](), features[-1], 0
        for step in self.net.steps(whole_anchor(self.net, number)):
            if step.kind == "block":
                place = step.index + 1
            elif step.kind == "tap":
                maps.append(self.net.run_step(step, features[place].clone()))
            elif step.kind == "decode":
                outputs = self.net.run_step(step, maps)
        return outputs

    def _run(self, number: int, images: Tensor, draws: int) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """Return each feature of an anchor, from its stem on, with the gradients of the drawn classes."""
        anchor = self.net.anchor(number)
        with torch.enable_grad():
            features = [anchor.enter(images).requires_grad_()]
            for block in range(anchor.depth):
                # A copy, for some blocks change what they are given.
                features.append(anchor.block(block, features[-1].clone()))
            answers = self.net.task.answers(self._outputs(number, features))
            drawn = self.net.task.draws(answers, draws)
            found = [torch.autograd.grad(one, features, retain_graph=True) for one in drawn]
        # Without what led there: else it would be kept until the last part has run.
        return zip([feature.detach() for feature in features], map(list, zip(*found, strict=True)), strict=True)
