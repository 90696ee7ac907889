"""Which products of which features the normal equations need, each once, and in what order to compute them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from snnet.space import FeatureSpec, LayerSpec

Fits = Mapping[str, FeatureSpec]
"""What the front features of a layer, by its name, must be fitted to; layers that are not named need nothing."""


class Node(NamedTuple):
    """The output of block `block` of anchor `anchor`; block -1 is the stem.

    Its rows are the positions of the feature map, or, where `fit` is set, as many positions as that one has. Where
    `after` is set, it is what comes along that beginning of routes, and otherwise what the anchor alone gives.
    """

    anchor: int
    block: int
    fit: FeatureSpec | None = None
    after: str = ""

    @property
    def where(self) -> str:
        """What messages call it."""
        return "the stem" if self.block < 0 else f"block {self.block}"


class Product(NamedTuple):
    """The matrix `(A_1 + A_2 + ...)' (B_1 + B_2 + ...)`, which serves every cut from one of the A to one of the B."""

    fronts: tuple[Node, ...]
    backs: tuple[Node, ...]

    @property
    def turned(self) -> "Product":
        """Its transpose."""
        return Product(self.backs, self.fronts)


@dataclass(frozen=True, slots=True)
class Plan:
    """A walk through the anchors: after each feature, the products that are due and the features that are done.

    Anchors advance side by side, in proportion to their depth, so that few features are alive at any time. What comes
    along routes is there before them.

    Attributes:
        order: All features.
        fits: What layers need, by name.
        due: Feature -> products that are formed once it is there.
        done: Feature -> features that no later product uses.
        turned: Products that serve cuts the other way, too: their transposes.
    """

    order: tuple[Node, ...]
    fits: Fits
    due: Mapping[Node, tuple[Product, ...]]
    done: Mapping[Node, tuple[Node, ...]]
    turned: frozenset[Product] = frozenset()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The features that some product uses."""
        return tuple(dict.fromkeys(node for nodes in self.done.values() for node in nodes))


def in_turn(layers: Iterable[LayerSpec]) -> list[list[LayerSpec]]:
    """Return layers in groups: what reaches those of a group depends on layers of the groups before it alone."""
    groups: dict[int, list[LayerSpec]] = {}
    for layer in layers:
        groups.setdefault(0 if layer.after is None else layer.after.count(",") + 1, []).append(layer)
    return [groups[cuts] for cuts in sorted(groups)]


def front_nodes(layer: LayerSpec, fits: Fits) -> tuple[Node, ...]:
    """Return `A` of every cut: the output of the block that the cut leaves."""
    return tuple(Node(cut.front, cut.leave, fits.get(layer.name), layer.after or "") for cut in layer.cuts)


def back_nodes(layer: LayerSpec) -> tuple[Node, ...]:
    """Return `B` of every cut: what the entered block receives in its own anchor."""
    return tuple(Node(cut.back, cut.enter - 1) for cut in layer.cuts)


def gram_of(front: Node) -> Product:
    """Return `A'A`, which all cuts that leave one block share."""
    return Product((front,), (front,))


def cross_products(layer: LayerSpec, fits: Fits) -> tuple[Product, ...]:
    """Return products that together hold every cut of the layer once.

    The targets of a front block are summed first, and then the front blocks that have the same targets: a window
    of which all cuts belong to the layer takes one product.
    """
    targets: dict[Node, list[Node]] = {}
    for front, back in zip(front_nodes(layer, fits), back_nodes(layer), strict=True):
        targets.setdefault(front, []).append(back)
    fronts: dict[tuple[Node, ...], list[Node]] = {}
    for front, backs in targets.items():
        fronts.setdefault(tuple(sorted(backs)), []).append(front)
    return tuple(Product(tuple(sources), backs) for backs, sources in fronts.items())


def plan_sums(layers: Sequence[LayerSpec], depths: Sequence[int], fits: Fits | None = None) -> Plan:
    """Plan the sums of all `layers`; `depths` are the numbers of blocks of the anchors."""
    fits = fits or {}
    crosses = [product for layer in layers for product in cross_products(layer, fits)]
    grams = [gram_of(front) for product in crosses for front in product.fronts]
    every = dict.fromkeys(grams + crosses)
    turned = frozenset(p for p in every if p.turned in every and _places(p.fronts) < _places(p.backs))
    products = tuple(p for p in every if p.turned not in turned)
    used_by = {product: (*product.fronts, *product.backs) for product in products}
    needed = {node for nodes in used_by.values() for node in nodes}
    order = _walk(needed, depths)
    when = {node: position for position, node in enumerate(order)}
    ready = {product: max(nodes, key=when.__getitem__) for product, nodes in used_by.items()}
    last_use = {
        node: max((ready[p] for p, nodes in used_by.items() if node in nodes), key=when.__getitem__) for node in needed
    }
    return Plan(
        order,
        fits,
        {node: tuple(p for p in products if ready[p] == node) for node in order},
        {node: tuple(n for n in order if last_use.get(n) == node) for node in order},
        turned,
    )


def _places(nodes: tuple[Node, ...]) -> list[tuple[int, int, str]]:
    return [(node.anchor, node.block, node.after) for node in nodes]


def _walk(needed: set[Node], depths: Sequence[int]) -> tuple[Node, ...]:
    """Return every feature on the way to the needed ones; no anchor runs further than it must."""
    alone = [node for node in needed if not node.after]
    last = {anchor: max(n.block for n in alone if n.anchor == anchor) for anchor in {n.anchor for n in alone}}
    nodes = {Node(anchor, block) for anchor, stop in last.items() for block in range(-1, stop + 1)}
    # The sort is stable: a feature comes before what is fitted from it.
    ordered = sorted(nodes) + [node for node in alone if node.fit is not None]
    walked = sorted(ordered, key=lambda node: ((node.block + 1) / depths[node.anchor], node.anchor))
    return (*sorted((node for node in needed if node.after), key=lambda node: node.after), *walked)
