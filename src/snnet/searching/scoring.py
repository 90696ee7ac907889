# Tested in tests/searching/test_finding.py.
"""How well routes do what the largest anchor does, on held-out images."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from snnet.network import SNNet, Tree, run_tree
from snnet.space import Segment, Stitch
from snnet.utils import Show


@dataclass
class Score:
    """How far a route's answers are from others'.

    Attributes:
        divergence: Mean divergence from the largest anchor's answers, as the task has it; of classes in nats.
        own: The same from those of the anchor that the route ends in.
        agreement: Percent of images in which the largest anchor is agreed with.
        loss: Mean cross-entropy, in nats; 0 without labels.
        images: How many images this is about.
    """

    divergence: float = 0.0
    own: float = 0.0
    agreement: float = 0.0
    loss: float = 0.0
    images: int = 0

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
        labels: Those of classes, `(N,)`, if they are known.
        batch_size: Images at once.
    """

    net: SNNet
    images: Tensor
    labels: Tensor | None
    batch_size: int

    @cached_property
    def answers(self) -> list[Tensor]:
        """What each anchor answers (`Task.answers`), such as log-probabilities `(N, classes)`."""
        batches = [self._placed(part) for part in torch.split(self.images, self.batch_size)]
        return [
            torch.cat([self.net.task.answers(self._outputs(number, batch)) for batch in batches])
            for number in range(len(self.net.anchors))
        ]

    def anchors(self, routes: Iterable[Stitch], images: int | None = None) -> dict[Stitch, Score]:
        """Score the anchors, given as routes in their order, by the answers that are known to so many images."""
        scores = {route: Score() for route in routes}
        for route, answers in zip(routes, self.answers, strict=True):
            self._add(scores[route], route.segments[-1].anchor, answers[:images], 0)
        return scores

    def score(self, net: SNNet, scores: Mapping[Stitch, Score], images: int, progress: Show = False) -> None:
        """Run routes of a network with the same anchors; what begins alike runs once.

        Args:
            net: The network.
            scores: Routes with what is known of them, from one number of images; more is added.
            images: How many images this is to be about.
            progress: Called after each batch.
        """
        tree = tree_of(net, scores)
        of = {route.id: route for route in scores}
        for start in range(min((score.images for score in scores.values()), default=images), images, self.batch_size):
            stop = min(start + self.batch_size, images)
            for stitch, outputs in run_tree(net, tree, self._placed(self.images[start:stop])):
                self._add(scores[of[stitch]], of[stitch].segments[-1].anchor, net.task.answers(outputs), start)
            if progress:
                progress(stop, images, f"images, {len(scores)} routes run")

    def _add(self, score: Score, last: int, found: Tensor, start: int) -> None:
        part, task = slice(start, start + len(found)), self.net.task
        largest = self.answers[-1][part]
        score.images += len(found)
        share = len(found) / score.images
        means = {
            "divergence": task.divergence(largest, found).mean(),
            "own": task.divergence(self.answers[last][part], found).mean(),
            "agreement": 100 * task.agreement(largest, found).mean(),
        }
        if self.labels is not None:
            means["loss"] = nll_loss(found, self.labels[part].to(found.device))
        for name, mean in means.items():
            before = getattr(score, name)
            setattr(score, name, before + share * (float(mean) - before))

    def _outputs(self, number: int, images: Tensor) -> Tensor:
        """Return what an anchor gives."""
        whole = whole_anchor(self.net, number)
        outputs: Tensor = self.net(images, whole) if self.net.has_head else self.net.anchor(number)(images)
        return outputs

    def _placed(self, images: Tensor) -> Tensor:
        return images.to(self.net.device, self.net.dtype)


def tree_of(net: SNNet, routes: Iterable[Stitch]) -> Tree:
    """Return what routes run, merged where they begin alike."""
    tree = Tree()
    for route in sorted(routes):
        tree.add(route, net.steps(route))
    return tree


def whole_anchor(net: SNNet, number: int) -> Stitch:
    """Return the route that is an anchor alone."""
    return Stitch((Segment(number, 0, net.anchor(number).depth),))
