# Tested in tests/init/test_least_squares.py.
"""The features that least squares needs, from images: those of the anchors alone, and those that come along routes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch import Tensor

from snnet.anchors import Anchor
from snnet.errors import AnchorError
from snnet.init.plan import Node, Plan, plan_sums
from snnet.layers import fit_positions, same_positions, to_positions
from snnet.network import SNNet, Tree, ends_of, walk_tree
from snnet.space import LayerSpec, route_prefixes
from snnet.utils import fast_linear


def plan_layers(net: SNNet, specs: Sequence[LayerSpec]) -> Plan:
    """Plan the sums of some stitching layers of a network, which need not have them yet."""
    fits = {}
    for spec in specs:
        source, target = ends_of(net.family, spec.cuts[0])  # all cuts of a layer are between feature maps of one form
        if not same_positions(source, target):
            fits[spec.name] = target
    return plan_sums(specs, [sum(stages) for stages in net.space.depths], fits)


def walk_features(net: SNNet, order: Sequence[Node], images: Tensor) -> Iterator[tuple[Node, Tensor]]:
    """Yield the rows `(B * N, C)` of each feature in turn.

    One feature per anchor is alive at a time, besides those that come along routes, which are there from the start.

    Args:
        net: The network.
        order: The features.
        images: A batch.
    """
    anchors = net.family
    current: dict[int, Tensor] = {}
    arriving = _arriving(net, {node.after for node in order if node.after}, images)
    for node in order:
        anchor, spec = anchors[node.anchor], anchors[node.anchor].feature(node.block)
        if not node.after and node.fit is None:
            with fast_linear(images.device):
                before = images if node.block < 0 else current[node.anchor]
                current[node.anchor] = anchor.enter(before) if node.block < 0 else anchor.block(node.block, before)
            _check_shape(anchor, node, current[node.anchor])
        positions = to_positions(arriving[node.after] if node.after else current[node.anchor], spec)
        if node.fit is not None:
            positions = fit_positions(positions, spec, node.fit)
        yield node, positions.flatten(0, 1)


def _arriving(net: SNNet, beginnings: Iterable[str], images: Tensor) -> Mapping[str, Tensor]:
    """Return what each beginning of routes gives, with the batch norms' own statistics."""
    wanted, tree, found = set(beginnings), Tree(), dict[str, Tensor]()
    at: dict[str, list[str]] = {}
    for stitch in net.space:
        for number, beginning in enumerate(stitch.beginnings):
            if beginning in wanted:
                wanted.remove(beginning)
                # What comes before the stitching layer that leads on; maps may be put aside before, too.
                layers = [place for place, step in enumerate(net.steps(stitch)) if step.kind == "stitch"]
                steps = [step for step in net.steps(stitch)[: layers[number]] if step.kind != "tap"]
                at.setdefault(route_prefixes(steps)[-1], []).append(beginning)
                tree.add(stitch, steps)
    with fast_linear(images.device):
        for node, features in walk_tree(tree, images, lambda node, features: net.run_step(node.step, features)):
            found.update(dict.fromkeys(at.get(node.prefix, ()), features))
    return found


def _check_shape(anchor: Anchor, node: Node, features: Tensor) -> None:
    spec = anchor.feature(node.block)
    if tuple(features.shape[1:]) != spec.shape:
        raise AnchorError(
            f"{node.where} of {anchor.name} gives features of shape {tuple(features.shape[1:])}, and "
            f"{type(anchor).__name__}.feature({node.block}) says {spec.shape}: {spec}."
        )
