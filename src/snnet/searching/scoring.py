# Tested in tests/searching/test_finding.py.
"""How well routes do what the largest anchor does, on held-out images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from snnet.network import SNNet, Tree, run_tree
from snnet.space import Stitch
from snnet.utils import Show


@dataclass
class Score:
    """How far a route's answers are from others'.

    Attributes:
        divergence: Mean Kullback-Leibler divergence from the largest anchor's answers, in nats.
        own: The same from those of the anchor that the route ends in.
        agreement: Percent of images with the largest anchor's first guess.
        loss: Mean cross-entropy, in nats; 0 without labels.
    """

    divergence: float = 0.0
    own: float = 0.0
    agreement: float = 0.0
    loss: float = 0.0

    @property
    def badness(self) -> float:
        """What routes are chosen by: less is better."""
        return self.divergence + self.loss


@dataclass(frozen=True)
class Judge:
    """Held-out images, and what the anchors answer.

    Attributes:
        net: Gives the anchors; in evaluation mode.
        images: `(N, C, H, W)`.
        labels: `(N,)`, if they are known.
        batch_size: Images at once.
    """

    net: SNNet
    images: Tensor
    labels: Tensor | None
    batch_size: int

    @cached_property
    def answers(self) -> list[Tensor]:
        """Log-probabilities `(N, classes)` of each anchor."""
        batches = [self._placed(part) for part in torch.split(self.images, self.batch_size)]
        return [torch.cat([log_probabilities(anchor(batch)) for batch in batches]) for anchor in self.net.family]

    def anchors(self, routes: Sequence[Stitch]) -> dict[Stitch, Score]:
        """Score the anchors, given as routes in their order, by the answers that are known."""
        scores = {route: Score() for route in routes}
        for route, answers in zip(routes, self.answers, strict=True):
            self._add(scores[route], route.segments[-1].anchor, answers, slice(None))
        return scores

    def score(self, net: SNNet, routes: Sequence[Stitch], progress: Show = False) -> dict[Stitch, Score]:
        """Run routes of a network with the same anchors; what begins alike runs once."""
        tree = Tree()
        for route in sorted(routes):
            tree.add(route, net.steps(route))
        of = {route.id: route for route in routes}
        scores = {route: Score() for route in routes}
        for start in range(0, len(self.images), self.batch_size):
            part = slice(start, start + self.batch_size)
            for stitch, logits in run_tree(net, tree, self._placed(self.images[part])):
                self._add(scores[of[stitch]], of[stitch].segments[-1].anchor, log_probabilities(logits), part)
            if progress:
                progress(min(part.stop, len(self.images)), len(self.images), f"images, {len(routes)} routes run")
        return scores

    def _add(self, score: Score, last: int, found: Tensor, part: slice) -> None:
        largest, count = self.answers[-1][part], len(self.images)
        score.divergence += float(divergences(largest, found).sum()) / count
        score.own += float(divergences(self.answers[last][part], found).sum()) / count
        score.agreement += 100 * float((found.argmax(1) == largest.argmax(1)).sum()) / count
        if self.labels is not None:
            score.loss += float(nll_loss(found, self.labels[part].to(found.device), reduction="sum")) / count

    def _placed(self, images: Tensor) -> Tensor:
        return images.to(self.net.device, self.net.dtype)


def log_probabilities(logits: Tensor) -> Tensor:
    """Return log-probabilities in single precision or better."""
    return logits.float().log_softmax(1)


def divergences(target: Tensor, found: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of each image, from log-probabilities."""
    return (target.exp() * (target - found)).sum(1)
