"""Means and centered products of features that arrive batch by batch, in float64."""

from collections.abc import Iterable

import torch
from torch import Tensor

from snnet.errors import AnchorError
from snnet.init.normal_equations import NormalEquations
from snnet.init.plan import Node, Plan, Product, back_nodes, cross_products, front_nodes, gram_of
from snnet.init.products import ProductSum, choose_dtype
from snnet.init.rows import BatchRows, RunningMean, mirrored
from snnet.space import LayerSpec


class StreamingSums:
    """The sums behind the normal equations of all stitching layers; their size does not grow with the images.

    Args:
        plan: What to sum, from `plan_sums`.
        device: Where to sum; it must know float64.
    """

    def __init__(self, plan: Plan, device: torch.device) -> None:
        self.plan = plan
        self._device = device
        self._means = {node: RunningMean() for node in plan.nodes}
        self._fronts = {front for products in plan.due.values() for product in products for front in product.fronts}
        self._products: dict[Product, ProductSum] = {}
        self._dtypes: dict[Node, torch.dtype] = {}

    def add(self, features: Iterable[tuple[Node, Tensor]]) -> None:
        """Take in one batch: the rows `(n, C)` of every node, in the order of the plan.

        Raises:
            AnchorError: If a feature holds NaN or infinity; the sums are then spoiled.
        """
        alive: dict[Node, BatchRows] = {}
        for node, rows in features:
            if node in self._means:
                alive[node] = self._center(node, rows)
            for product in self.plan.due[node]:
                self._add_product(product, alive)
            for spent in self.plan.done[node]:
                self._means[spent].add_scatter(alive.pop(spent))

    def equations(self, layer: LayerSpec) -> NormalEquations:
        """Return the joint, centered normal equations of all cuts of a layer."""
        fronts = [self._means[node] for node in front_nodes(layer, self.plan.fits)]
        backs = [self._means[node] for node in back_nodes(layer)]
        rows = fronts[0].count
        a = torch.stack([front.mean for front in fronts])
        b = torch.stack([back.mean for back in backs])
        mean_a, mean_b = a.mean(dim=0), b.mean(dim=0)
        # Scatter within each cut, and between the means of the cuts.
        between = rows * (a - mean_a).T
        upper = sum((self._total(gram_of(node)) for node in front_nodes(layer, self.plan.fits)), between @ (a - mean_a))
        cross = sum((self._total(p) for p in cross_products(layer, self.plan.fits)), between @ (b - mean_b))
        within = sum(back.scatter for back in backs)
        return NormalEquations(
            gram=mirrored(upper),
            cross=cross,
            front_mean=mean_a,
            back_mean=mean_b,
            back_scatter=within + rows * float((b - mean_b).square().sum()),
            rows=rows * len(layer.cuts),
        )

    def _center(self, node: Node, rows: Tensor) -> BatchRows:
        before = self._means[node]
        center = before.mean if before.count else None
        # The first batch decides on precisions, of this feature's partners too.
        both = center is None or torch.float64 in self._dtypes.values()
        batch = BatchRows(rows.to(self._device), center, both=both)
        _check_finite(node, batch.mean)
        if node in self._fronts:
            if node not in self._dtypes:
                self._dtypes[node] = choose_dtype(batch)
            if self._dtypes[node] == torch.float64:
                batch.refine()
        before.add(batch)
        return batch

    def _add_product(self, product: Product, alive: dict[Node, BatchRows]) -> None:
        narrow = all(self._dtypes[front] == torch.float32 for front in product.fronts)
        fronts, backs = ([alive[node] for node in nodes] for nodes in product)
        self._products.setdefault(product, ProductSum()).add(fronts, backs, torch.float32 if narrow else torch.float64)

    def _total(self, product: Product) -> Tensor:
        total = self._products[product].total
        assert total is not None, "no batch was added"
        return total


def _check_finite(node: Node, mean: Tensor) -> None:
    if not bool(torch.isfinite(mean).all()):
        where = "the stem" if node.block < 0 else f"block {node.block}"
        raise AnchorError(
            f"The output of {where} of anchor {node.anchor} holds NaN or infinity on the calibration images. "
            "Check that anchor's weights, and that the images are normalized as it expects; "
            "in half precision, initialize in float32."
        )
