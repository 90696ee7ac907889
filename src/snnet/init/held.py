"""Rows of features that are held in memory, so that the layers of many cuts are fitted one after another."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from snnet.init.normal_equations import NormalEquations, Solution
from snnet.init.plan import Node, back_nodes, front_nodes
from snnet.init.rows import Centered, mirrored, product_over_rows
from snnet.init.sums import check_finite, choose_dtype
from snnet.init.walk import plan_layers, walk_features
from snnet.layers import fit_positions, to_positions
from snnet.network import Node as TreeNode
from snnet.network import SNNet, Tree, ends_of, walk_tree
from snnet.space import LayerSpec, Stitch
from snnet.utils import Show


@dataclass(frozen=True)
class HeldRows:
    """Rows of one feature.

    Attributes:
        center: `(C,)`, a constant near their mean.
        centered: The rows less this constant.
    """

    center: Tensor
    centered: Centered

    @classmethod
    def of(cls, channels: Tensor) -> "HeldRows":
        """Hold channels `(C, n)`, float32 or float64, which are centered in place."""
        center = channels.mean(dim=1)
        channels -= center[:, None]
        return cls(center, Centered(channels, channels.mean(dim=1).double()))

    def __len__(self) -> int:
        return self.centered.channels.shape[1]

    @property
    def mean(self) -> Tensor:
        """`(C,)` float64."""
        return self.center.double() + self.centered.offset

    @cached_property
    def scatter(self) -> float:
        """`||rows - mean||^2`."""
        norms = torch.linalg.vector_norm(self.centered.channels, dim=1).double()
        return float(norms.square().sum() - len(self) * (self.centered.offset @ self.centered.offset))

    @cached_property
    def precision(self) -> torch.dtype:
        """What products with these rows are formed in."""
        return choose_dtype(self.centered)

    def fit(self, backs: "Sequence[HeldRows]") -> Iterator[tuple[Solution, float]]:
        """Fit the maps from these rows to those of several features at once, which takes one factorization.

        Yields:
            Each map, and what part of the variance of the other feature it leaves unexplained.
        """
        crosses = [self._products(back) for back in backs]
        whole = NormalEquations(
            gram=mirrored(self._products(self)),
            cross=torch.cat(crosses, dim=1),
            front_mean=self.mean,
            back_mean=torch.cat([back.mean for back in backs]),
            back_scatter=sum(back.scatter for back in backs),
            rows=len(self),
        ).solve()
        widths = [len(back.center) for back in backs]
        parts = zip(torch.split(whole.weight, widths, 1), torch.split(whole.bias, widths), strict=True)
        for (weight, bias), cross, back in zip(parts, crosses, backs, strict=True):
            explained = float((weight * cross).sum()) / back.scatter if back.scatter > 0 else 1.0
            yield Solution(weight, bias, whole.rank), max(1 - explained, 0.0)

    def first(self, count: int) -> "HeldRows":
        """Return the first so many rows."""
        channels = self.centered.channels[:, :count]
        return HeldRows(self.center, Centered(channels, channels.mean(dim=1).double()))

    def _products(self, other: "HeldRows") -> Tensor:
        """Return the centered products with another feature's rows, `(C, C_other)` float64."""
        a, b = (rows.centered.channels.to(self.precision) for rows in (self, other))
        offsets = self.centered.offset[:, None], other.centered.offset[None]
        return product_over_rows(a, b).double().addmm_(*offsets, alpha=-len(self))


class HeldFeatures:
    """Rows of all features that cuts join, from one walk through the anchors.

    Args:
        net: Gives the anchors; in evaluation mode, without gradients.
        specs: Layers of one cut each, behind no other; also an attribute.
        images: Checked images `(N, C, H, W)`.
        positions: Positions of each image that are held, at most; drawn from torch's random state.
        batch_size: Images at once.
        progress: Called after each batch.
    """

    def __init__(
        self,
        net: SNNet,
        specs: Sequence[LayerSpec],
        images: Tensor,
        positions: int,
        batch_size: int,
        progress: Show = False,
    ) -> None:
        self.specs = specs
        self._plan, self._images, self._most, self._batch_size = plan_layers(net, specs), images, positions, batch_size
        # Apple's GPUs have no float64; the rows then live on the CPU.
        self._place = torch.device("cpu") if net.device.type == "mps" else net.device
        self._taken: dict[tuple[int, int], Tensor] = {}
        nodes, channels = set(self._plan.nodes), dict[Node, Tensor]()
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size].to(net.device, net.dtype)
            for node, rows in walk_features(net, self._plan.order, batch):
                if node in nodes:
                    part = self._sampled(rows.view(len(batch), -1, rows.shape[1]), start)
                    each = len(part) // len(batch)
                    if node not in channels:
                        channels[node] = part.new_empty(part.shape[1], len(images) * each)
                    channels[node][:, start * each : (start + len(batch)) * each] = part.T
            if progress:
                progress(start + len(batch), len(images), "calibration images")
        self.rows = {node: HeldRows.of(found) for node, found in channels.items()}
        for node, held in self.rows.items():
            check_finite(node, held.mean)

    def fit(self, specs: Sequence[LayerSpec] | None = None) -> Iterator[tuple[LayerSpec, Solution, float]]:
        """Fit all of the layers, or some, to what the anchors give.

        Yields:
            Each with its map, and what part of the variance behind the cut the map leaves unexplained.
        """
        fronts: dict[Node, list[LayerSpec]] = {}
        for spec in self.specs if specs is None else specs:
            fronts.setdefault(front_nodes(spec, self._plan.fits)[0], []).append(spec)
        for front, group in fronts.items():
            found = self.rows[front].fit([self.rows[back_nodes(spec)[0]] for spec in group])
            yield from ((spec, *fitted) for spec, fitted in zip(group, found, strict=True))

    def fit_along(self, net: SNNet, routes: Sequence[Stitch], images: int, given: Collection[str] = ()) -> None:
        """Set the stitching layers of routes: the first of each to what its anchor gives, others to what arrives there.

        Layers that maps go through are fitted to what anchors give, too.

        Args:
            net: Has the routes; of the same anchors.
            routes: Which.
            images: Run the beginnings of routes with several cuts for so many images at most, all at once.
            given: Names of layers that maps go through, and that stay as they are.
        """
        every = {spec.name: spec for spec in net.layer_specs}
        # Those that maps go through, as far as nobody has fitted them.
        wanted = {step.layer for route in routes for step in net.steps(route) if step.kind == "tap"} - {"", *given}
        tree, firsts = Tree(), {name: every[name] for name in sorted(wanted)}
        for route in routes:
            steps = [step for step in net.steps(route) if step.kind != "tap"]
            cuts = [place for place, step in enumerate(steps) if step.kind == "stitch"]
            firsts |= {steps[place].layer: every[steps[place].layer] for place in cuts[:1]}
            if len(cuts) > 1:
                tree.add(route, steps[: cuts[-1] + 1])
        for spec, solution, _ in self.fit(list(firsts.values())):
            solution.store_in(net.layer_named(spec.name).transform)
        count = min(images, len(self._images))

        def run(node: TreeNode, features: Tensor) -> Tensor:
            step = node.step
            if step.kind == "stitch" and step.layer not in firsts:
                self._fit_arriving(net, every[step.layer], features)
            if not node.children:
                return features
            return torch.cat([net.run_step(step, part) for part in torch.split(features, self._batch_size)])

        for _ in walk_tree(tree, self._images[:count].to(net.device, net.dtype), run):
            pass

    def _fit_arriving(self, net: SNNet, spec: LayerSpec, features: Tensor) -> None:
        """Fit a layer to the features that come along a route."""
        source, target = ends_of(net.family, spec.cuts[0])
        positions = fit_positions(to_positions(features, source), source, target)
        parts = enumerate(torch.split(positions, self._batch_size))
        rows = torch.cat([self._sampled(part, number * self._batch_size) for number, part in parts])
        arrived = HeldRows.of(rows.T.contiguous())
        check_finite(Node(spec.front, spec.cuts[0].leave, after=spec.after or ""), arrived.mean)
        ((solution, _),) = arrived.fit([self.rows[back_nodes(spec)[0]].first(len(rows))])
        solution.store_in(net.layer_named(spec.name).transform)

    def _sampled(self, positions: Tensor, start: int) -> Tensor:
        """Return rows `(B * n, C)` of a batch `(B, N, C)`: the same positions of all features with as many."""
        count = positions.shape[1]
        if count > self._most:
            if (start, count) not in self._taken:
                self._taken[start, count] = torch.randperm(count)[: self._most].to(positions.device)
            positions = positions[:, self._taken[start, count]]
        rows = positions.flatten(0, 1)
        return rows.to(self._place, torch.promote_types(rows.dtype, torch.float32))
