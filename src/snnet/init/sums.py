"""Means and centered products of features that arrive batch by batch, in float64."""

from collections.abc import Iterable, Sequence
from functools import reduce

import torch
from torch import Tensor

from snnet.errors import AnchorError
from snnet.init.normal_equations import NormalEquations
from snnet.init.plan import Node, Plan, Product, back_nodes, cross_products, front_nodes, gram_of
from snnet.init.rows import BatchRows, Centered, RunningMean, mirrored, product_over_rows
from snnet.space import LayerSpec

INFLATION_LIMIT = 1e3
"""Mean variance inflation factor of a front feature's channels up to which products are formed in float32.

A product of float32 rows errs by some 1e-8 of the norms of its columns. Through the normal equations that raises the
squared relative residual by about `(1e-8)^2 * channels * inflation`: at this limit and 1,000 channels by 1e-10, which
does not show unless the residual itself is tiny. ViTs have factors of 2 to 50.
"""

PRODUCT_ERROR = 4e-6
"""Relative error of a sum of squares beyond which a matrix product was not float32; TF32 errs by 1e-5 and more."""


class StreamingSums:
    """The sums behind the normal equations of all stitching layers; their size does not grow with the images.

    They are summed on a device that knows float64.
    """

    def __init__(self, plan: Plan, device: torch.device) -> None:
        self.plan = plan
        self._device = device
        self._means = {node: RunningMean() for node in plan.nodes}
        products = [product for due in plan.due.values() for product in due]
        turned = [product.turned for product in plan.turned]
        self._fronts = {front for product in (*products, *turned) for front in product.fronts}
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
        check_finite(node, batch.mean)
        if node in self._fronts:
            if node not in self._dtypes:
                self._dtypes[node] = choose_dtype(batch.at(batch.dtype))
            if self._dtypes[node] == torch.float64:
                batch.refine()
        before.add(batch)
        return batch

    def _add_product(self, product: Product, alive: dict[Node, BatchRows]) -> None:
        deciding = product.fronts + (product.backs if product in self.plan.turned else ())
        narrow = all(self._dtypes[front] == torch.float32 for front in deciding)
        fronts, backs = ([alive[node] for node in nodes] for nodes in product)
        self._products.setdefault(product, ProductSum()).add(fronts, backs, torch.float32 if narrow else torch.float64)

    def _total(self, product: Product) -> Tensor:
        turned = product not in self._products
        total = self._products[product.turned if turned else product].total
        assert total is not None, "no batch was added"
        return total.T if turned else total


class ProductSum:
    """Running sum of `(A_1 + ...)' (B_1 + ...)` over the centered rows of all batches, in float64.

    Attributes:
        total: `(C_front, C_back)`; where both sides are one feature, right on and above the diagonal only.
    """

    def __init__(self) -> None:
        self.total: Tensor | None = None

    def add(self, fronts: Sequence[BatchRows], backs: Sequence[BatchRows], dtype: torch.dtype) -> None:
        """Take in a batch; its product is formed in `dtype`."""
        (a, a_offset, a_shift), (b, b_offset, b_shift) = _side(fronts, dtype), _side(backs, dtype)
        product = fronts[0].at(dtype).gram if a is b else product_over_rows(a, b)
        self.total = product.to(torch.float64, copy=True) if self.total is None else self.total.add_(product)
        # From the constants that were subtracted to the batch's mean, and from there to the mean of all batches.
        weights = a_shift.new_tensor([[-len(fronts[0])], [fronts[0].weight]])
        self.total.addmm_(torch.stack([a_offset, a_shift], dim=1), weights * torch.stack([b_offset, b_shift]))


def _side(batches: Sequence[BatchRows], dtype: torch.dtype) -> list[Tensor]:
    """Return one side of a product, summed over features: channels, and their offsets and shifts."""
    sides = [(batch.at(dtype).channels, batch.at(dtype).offset, batch.shift) for batch in batches]
    return [reduce(torch.add, parts) for parts in zip(*sides, strict=True)]


def check_finite(node: Node, mean: Tensor) -> None:
    """Refuse a feature whose mean is not finite.

    Raises:
        AnchorError: It says of which block.
    """
    if not bool(torch.isfinite(mean).all()):
        raise AnchorError(
            f"The output of {node.where} of anchor {node.anchor} holds NaN or infinity on the calibration images. "
            "Check that anchor's weights, and that the images are normalized as it expects; "
            "in half precision, initialize in float32."
        )


def choose_dtype(front: Centered) -> torch.dtype:
    """Return the precision that products with this feature need, from some of its rows.

    Float32 costs half as much. It must be shown to suffice: enough rows to tell, no channel without variation, none
    that the others nearly determine, and matrix products that really are float32 (not TF32 or bfloat16).
    """
    channels = front.channels
    if channels.dtype != torch.float32:
        return torch.float64
    squares = channels.square().sum(dim=1, dtype=torch.float64)
    if channels.shape[1] < 2 * len(squares) or not bool((squares > 0).all()):
        return torch.float64
    scale = squares.rsqrt().float()
    factor, failed = torch.linalg.cholesky_ex(mirrored(front.gram) * torch.outer(scale, scale))
    if bool(failed) or float((front.gram.diagonal() / squares - 1).abs().max()) > PRODUCT_ERROR:
        return torch.float64
    inflation = float(torch.cholesky_inverse(factor).diagonal().mean())
    return torch.float32 if inflation <= INFLATION_LIMIT else torch.float64
