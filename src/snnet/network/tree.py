"""The fold over a route: one function runs steps, be they of one route or of many that begin alike.

Routes that begin with the same steps share a path of a tree, so that walking the tree runs each distinct step once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain as all_of
from typing import Any

from torch import Tensor, nn

from snnet.network.images import check_batch
from snnet.network.interface import Network
from snnet.network.statistics import RouteStatistics, UsingStatistics
from snnet.space import Step, Stitch, route_prefixes

Path = tuple[str, ...]
"""Names that lead from the root to a module."""
Chain = tuple[tuple[Path, tuple[str, ...]], ...]
"""Modules that run one after another: the path to a parent, and the names there of those that follow each other."""
Maps = tuple[Tensor, ...]
"""Feature maps `(B, C, H, W)` that a route has put aside."""
Given = Tensor | Maps
"""What a step takes: images or features, or, if it is a head over maps, these."""
Call = tuple[Step, Path, Chain | None, str]
"""A step; the anchor that owns it, or its stitching layer; its modules if they are all it runs; the beginning it ends.

There are names alone: a module that was exchanged is found at once, and replicas of a network share its calls.
"""


def find_call(root: nn.Module, step: Step, prefix: str = "") -> Call:
    """Return how a step is run.

    Args:
        root: Has anchors in `anchors` and stitching layers in `layers`.
        step: The step.
        prefix: Name of the beginning of a route that it ends, whose statistics are used if there are any.
    """
    if step.kind == "stitch":
        return step, ("layers", step.layer), ((("layers",), (step.layer,)),), prefix
    if step.kind == "tap":
        layer: Chain = ((("layers",), (step.layer,)),) if step.layer else ()
        return step, ("maps", str(step.index)), (*layer, (("maps",), (str(step.index),))), prefix
    if step.kind == "decode":
        return step, ("head",), (((), ("head",)),), prefix
    owner = ("anchors", str(step.anchor))
    anchor = find_module(root, owner)
    names = {module: name for name, module in anchor.named_modules()}
    found = [names.get(module) for module in anchor.chain(step) or [None]]
    paths = [(*owner, *name.split(".")) for name in found if name is not None]
    chain = join_chains([((path[:-1], path[-1:]),) for path in paths])
    return step, owner, None if None in found else chain, prefix


def join_chains(chains: Iterable[Chain]) -> Chain:
    """Return one chain that runs what several do: to look a parent up takes as long as a small operation."""
    joined: list[tuple[Path, tuple[str, ...]]] = []
    for parent, names in all_of.from_iterable(chains):
        if joined and joined[-1][0] == parent:
            joined[-1] = (parent, (*joined[-1][1], *names))
        else:
            joined.append((parent, names))
    return tuple(joined)


def join_calls(calls: Iterable[Call]) -> tuple[Call, ...]:
    """Return the same steps with neighbors as one call; only for evaluation, and where no statistics are kept."""
    joined: list[Call] = []
    for call in calls:
        in_row = joined and not {call[0].kind, joined[-1][0].kind} & {"tap", "decode"}
        if in_row and joined[-1][2] is not None and call[2] is not None:
            step, owner, before, prefix = joined[-1]
            joined[-1] = (step, owner, join_chains([before or (), call[2]]), prefix)
        else:
            joined.append(call)
    return tuple(joined)


def find_module(root: nn.Module, path: Path) -> Any:
    """Return what `get_submodule` does, which checks every name and takes longer than a small block may."""
    module: Any = root
    for name in path:
        module = module._modules[name]
    return module


def run_calls(
    root: nn.Module,
    calls: Iterable[Call],
    features: Any,
    statistics: RouteStatistics | None = None,
    maps: list[Tensor] | None = None,
) -> Tensor:
    """Run steps one after another.

    Args:
        root: Whatever the calls were found in, or a module of the same form.
        calls: The steps.
        features: What the first step takes; a head over maps that runs alone takes a sequence of them.
        statistics: Where those measured for a beginning are; batch norms use their own for all others.
        maps: What was put aside before; what these steps put aside is added, and a head over them takes all.

    Returns:
        What the last step gives; of one that puts a map aside this map.
    """
    kept: Mapping[str, Tensor] = {} if statistics is None else statistics.kept
    training = root.training
    aside: list[Tensor] = [] if maps is None else maps
    kind = ""
    for step, owner, chain, prefix in calls:
        if prefix in kept:
            assert statistics is not None  # nobody else keeps any
            with UsingStatistics(statistics.norms_of(step, find_module(root, owner)), kept[prefix]):
                features = run_calls(root, [(step, owner, chain, "")], features, maps=aside)
        elif (kind := step.kind) == "tap":
            mapped = features
            for parent, names in chain or ():
                for name in names:
                    mapped = find_module(root, parent)._modules[name](mapped)
            aside.append(mapped)
        elif kind == "decode":
            features = find_module(root, owner)(aside or features)
        # In training blocks may do more, such as to run again in the backward pass.
        elif chain is None or (training and step.kind != "stitch"):
            features = find_module(root, owner).run_step(step, features)
        else:
            for parent, names in chain:
                siblings = find_module(root, parent)._modules
                for name in names:
                    features = siblings[name](features)
    outputs: Tensor = aside[-1] if kind == "tap" else features
    return outputs


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
    children: dict[Step, "Node"] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)


class Tree:
    """Routes merged by their common beginnings."""

    def __init__(self) -> None:
        self.roots: dict[Step, Node] = {}
        self.stitches: list[str] = []

    def add(self, stitch: Stitch, steps: Sequence[Step]) -> None:
        """Append the route of a stitch. The child that was added last is walked last."""
        children, node = self.roots, None
        for step, prefix in zip(steps, route_prefixes(steps), strict=True):
            node = children.setdefault(step, Node(step, prefix))
            children = node.children
        assert node is not None, "a route has at least a stem and a head"
        node.ends.append(stitch.id)
        self.stitches.append(stitch.id)

    def shared(self, steps: Sequence[Step]) -> Sequence[Step]:
        """Return the steps at the beginning of a route that the tree already runs."""
        children, count = self.roots, 0
        for step in steps:
            node = children.get(step)
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

    def weight(self, weight: Callable[[Step], float]) -> float:
        """Return the summed weight of all steps that walking the tree runs."""
        return sum(weight(node.step) for node in self.nodes())


def after_step(step: Step, features: Any, maps: Maps, run: Callable[[Any], Any]) -> tuple[Any, Maps]:
    """Return the features after one more step of a route, and the maps put aside so far.

    Args:
        step: The step.
        features: What the step before gave; of a head over maps that runs alone, the maps.
        maps: What steps before put aside.
        run: Runs the step on what it takes: on the features, or, if it is a head over maps, on these.
    """
    if step.kind == "tap":
        return features, (*maps, run(features))
    return (run(maps or features), ()) if step.kind == "decode" else (run(features), maps)


def walk_tree(tree: Tree, images: Tensor, run: Callable[[Node, Tensor], Tensor]) -> Iterator[tuple[Node, Tensor]]:
    """Run each node of a tree once on its parent's output, depth first; yield the nodes with their outputs.

    Only the activations at branchings on the current path are held, and the maps put aside on the way there.
    """
    pending: list[tuple[Node, Tensor, Maps]] = [(node, images, ()) for node in reversed(tree.roots.values())]
    while pending:
        node, features, maps = pending.pop()
        features, maps = after_step(node.step, features, maps, partial(run, node))
        yield node, features
        pending.extend((child, features, maps) for child in reversed(node.children.values()))


def run_tree(net: Network, tree: Tree, images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield `(stitch id, outputs (B, ...))` of every stitch of a tree for one batch.

    Raises:
        DataError: If these are no images for the network.
    """
    check_batch(images, net)
    for node, features in walk_tree(tree, images, lambda node, x: net.run_step(node.step, x, node.prefix)):
        for stitch in node.ends:
            yield stitch, features
