"""What is to be run, decided before anything runs: routes as trees, and the trees as groups.

Routes that begin with the same steps share a path of a tree, so that walking the tree runs each distinct
step once. The whole work is one tree; it is divided into a few groups, each with a tree of its own, because
a finished group can be saved. Dividing costs the steps that two groups then both run, and this is kept small.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from snnet.network.network import SNNet
from snnet.space import Step, Stitch, route_prefixes

Weight = Callable[[Step], float]
"""What running a step counts for, such as its MACs."""
Routes = Mapping[Stitch, Sequence[Step]]


@dataclass(slots=True)
class Node:
    """One step after its parent's.

    Attributes:
        step: What is run.
        prefix: Name of the beginning of a route that ends here.
        children: The steps that come next.
        ends: Ids of the stitches whose route is complete here.
    """

    step: Step
    prefix: str
    children: dict[Hashable, "Node"] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)


class Tree:
    """Routes merged by their common beginnings.

    Args:
        share: Whether common beginnings are merged; without it every route is a branch of its own.
    """

    def __init__(self, *, share: bool = True) -> None:
        self.share = share
        self.roots: dict[Hashable, Node] = {}
        self.stitches: list[str] = []

    def add(self, stitch: Stitch, steps: Sequence[Step]) -> None:
        """Append the route of a stitch. The child that was added last is walked last."""
        children, node = self.roots, None
        for step, prefix in zip(steps, route_prefixes(steps), strict=True):
            node = children.setdefault(self._key(stitch, step), Node(step, prefix))
            children = node.children
        assert node is not None, "a route has at least a stem and a head"
        node.ends.append(stitch.id)
        self.stitches.append(stitch.id)

    def shared(self, stitch: Stitch, steps: Sequence[Step]) -> Sequence[Step]:
        """Return the steps at the beginning of a route that the tree already runs."""
        children, count = self.roots, 0
        for step in steps:
            node = children.get(self._key(stitch, step))
            if node is None:
                break
            children, count = node.children, count + 1
        return steps[:count]

    def nodes(self) -> Iterator[Node]:
        """Return all nodes, each once."""
        pending = list(self.roots.values())
        while pending:
            node = pending.pop()
            yield node
            pending.extend(node.children.values())

    def weight(self, weight: Weight) -> float:
        """Return the summed weight of all steps that walking the tree runs."""
        return sum(weight(node.step) for node in self.nodes())

    def _key(self, stitch: Stitch, step: Step) -> Hashable:
        return step if self.share else (stitch, step)


def plan_groups(
    routes: Routes,
    weight: Weight,
    *,
    max_groups: int = 16,
    max_rerun: float = 0.05,
    share: bool = True,
) -> tuple[Tree, ...]:
    """Divide routes into groups, each of which is evaluated in one pass over the data and then saved.

    Routes are taken in the order of their segments, so that those that leave an anchor early come first and
    neighbors share the most. A group ends where it is heavy enough and the next route shares little with it.

    Args:
        routes: Stitches with their steps, in any order.
        weight: Rough cost of a step, in any unit.
        max_groups: Upper bound on the groups, which is also the number of passes over the data.
        max_rerun: Largest part of a group's weight that the next group may have to run again.
        share: As for `Tree`.
    """
    everything = Tree(share=share)
    for stitch, steps in routes.items():
        everything.add(stitch, steps)
    enough = everything.weight(weight) / max_groups

    groups: list[Tree] = []
    fresh = 0.0  # weight of the last group without what the group before ran too
    for stitch, steps in sorted(routes.items(), key=lambda route: route[0]):
        again = sum(map(weight, groups[-1].shared(stitch, steps))) if groups else 0.0
        if not groups or (fresh >= enough and again <= max_rerun * fresh):
            groups.append(Tree(share=share))
            fresh = 0.0
        groups[-1].add(stitch, steps)
        fresh += sum(map(weight, steps)) - again
    return tuple(groups)


def walk_tree(tree: Tree, images: Tensor, run: Callable[[Node, Tensor], Tensor]) -> Iterator[tuple[Node, Tensor]]:
    """Run each node of a tree once on its parent's output, depth first; yield the nodes with their outputs.

    Only the activations at branchings on the current path are held.
    """
    pending = [(node, images) for node in reversed(tree.roots.values())]
    while pending:
        node, features = pending.pop()
        features = run(node, features)
        yield node, features
        pending.extend((child, features) for child in reversed(node.children.values()))


def run_tree(net: SNNet, tree: Tree, images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield `(stitch id, logits (B, classes))` of every stitch of a tree for one batch."""
    for node, features in walk_tree(tree, images, lambda node, x: net.run_step(node.step, node.prefix, x)):
        for stitch in node.ends:
            yield stitch, features
