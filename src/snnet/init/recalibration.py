"""Running statistics of batch norms, measured anew for every route from a few images."""

import math
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnet.anchors import batch_norms
from snnet.errors import DataError, SpaceError
from snnet.init.images import count_images, image_batches
from snnet.init.settings import RECALIBRATION
from snnet.network import (
    ComparingStatistics,
    MeasuringStatistics,
    Node,
    SNNet,
    Stitches,
    Tree,
    WatchingStatistics,
    chosen_stitches,
    walk_tree,
)
from snnet.space import Segment, Step, Stitch, route_steps, uncut_anchor
from snnet.utils import Show, evaluating, shows_progress


@dataclass(frozen=True, slots=True)
class RecalibrationReport:
    """What `recalibrate` did.

    Attributes:
        images: Images that were run; 0 if there was nothing to measure.
        stitches: Chosen stitches that have a batch norm to measure.
        prefixes: Beginnings of routes that were measured.
        seconds: How long it took.
    """

    images: int
    stitches: int
    prefixes: int
    seconds: float


def has_batch_norm(net: SNNet, *, anchors: bool | Collection[int] = True) -> bool:
    """Return whether there is anything to recalibrate: a batch norm with running statistics.

    Args:
        net: The network.
        anchors: As for `recalibrate`.
    """
    if not batch_norms([net]):
        return False
    own = _keeping_their_own(net, anchors)
    ways = (zip(net.steps(stitch), net.prefixes(stitch), strict=True) for stitch in net.space)
    return any(_is_measured(net, own, *step) for way in ways for step in way)


@shows_progress("Recalibrating")
def recalibrate(
    net: SNNet,
    images: Tensor | Iterable[Any],
    *,
    stitches: Stitches | None = None,
    anchors: bool | Collection[int] = True,
    batch_size: int = RECALIBRATION.batch_size,
    max_images: int | None = None,
    device: torch.device | str | None = None,
    progress: Show = None,
) -> RecalibrationReport:
    """Measure the running statistics that the batch norms of each route need, and keep them with the network.

    A batch norm behind a stitching layer receives other features than the anchor's own, and so does one of an anchor
    that was trained within other routes. From then on `net(x, stitch)` uses what was measured, and with it
    `net.at(stitch)`, evaluation and everything else. Routes that begin alike share what belongs to the beginning; it
    is measured once.

    - Behind a cut into an anchor that keeps its own statistics, the same images run through that anchor as it is.
      Its statistics are changed by what differs: the mean by the difference of the two means, the variance by the
      ratio of the two variances, both drawn towards no change. What is the matter with the images (they are few, or
      of another kind than those of training) is the same on both sides and drops out.
    - Elsewhere, each batch norm normalizes with the statistics of the current batch, and those of all batches are
      pooled: mean and unbiased variance over all images that it saw.

    The statistics go into `net.statistics` once all are measured; an error leaves those there as they were. The
    anchors' own running statistics, modes and random state do not change. Scores in `net.table` go, for they were
    others'. A network without batch norm is left alone.

    What was measured fits these weights: `Trainer`, `initialize` and `load_state_dict` drop it. After changes of your
    own, measure again or call `net.forget_statistics()`.

    Args:
        net: The network.
        images: Clean images, normalized as `net.input` says: `(N, C, H, W)`, or an iterable (a loader) of such
            tensors or of `(images, labels)`. A few hundred are plenty.
        stitches: Numbers, ids or values, `anchors` or `frontier`; all of the space if None. Statistics
            of other stitches stay, except those of a beginning that they share with a chosen one.
        anchors: Measure the anchors too, and what stitches run before their first cut. False keeps the anchors' own
            running statistics there and drops what was measured there before: right as long as the anchors were not
            trained within the network, for each gives exactly the logits of its model then. Numbers of anchors are
            those that were trained, and are measured.
        batch_size: Images that are normalized together, at most; batches are divided evenly.
        max_images: Stop after this many images.
        device: Where to run; the network is moved there and back.
        progress: Called with (images done, images in all or 0, note); None shows a bar where someone watches, False
            nothing.

    Returns:
        How many images, stitches and batch norms were measured.

    Raises:
        DataError: If images are missing, of another size, not finite, or too few for a variance.
        AnchorError: If features at a batch norm are not finite.
        SpaceError: If a stitch is not in the space, or there is no anchor of such a number.

    Example:
        >>> recalibrate(net, calibration_images(dataset, 512))  # doctest: +SKIP
    """
    start = time.perf_counter()
    for name, value in (("batch_size", batch_size), ("max_images", max_images)):
        if value is not None and value < 2:
            raise DataError(f"{name} is {value}; it must be at least 2, for one image may have no variance.")
    net.statistics.norms.clear()
    own = _keeping_their_own(net, anchors)
    left = tuple(prefix for prefix in net.statistics if uncut_anchor(prefix) in own)
    tree = _tree_of_norms(net, chosen_stitches(net, stitches), own)
    done, modes = 0, dict[str, MeasuringStatistics]()
    if tree.stitches:
        # Not inference_mode: a module may cache tensors that later training needs. A loader may draw random numbers.
        with evaluating(net, device) as place, torch.no_grad(), torch.random.fork_rng(devices=[]):
            anchors_tree, watching, modes = _modes(net, tree, own)
            total, dtype = count_images(images, max_images), next(net.parameters()).dtype
            for batch in _even_batches(image_batches(images, net.input.size, sys.maxsize, max_images), batch_size):
                placed = batch.to(place, dtype)
                _measure(net, anchors_tree, placed, watching)  # first, for others are compared with it
                _measure(net, tree, placed, modes)
                done += len(batch)
                if progress:
                    progress(done, total, "images")
    net.statistics.store({prefix: mode.result() for prefix, mode in modes.items()}, drop=left)
    if modes or left:
        net.forget_scores()
    return RecalibrationReport(done, len(tree.stitches), len(modes), time.perf_counter() - start)


def _modes(
    net: SNNet, tree: Tree, own: Collection[int]
) -> tuple[Tree, dict[str, WatchingStatistics], dict[str, MeasuringStatistics]]:
    """Return what measures the norms of each beginning of a route, and before it the anchors that are compared with.

    An anchor that keeps its own statistics, and runs behind a cut, is watched up to the last norm that has one.
    """
    nodes = [node for node in tree.nodes() if _is_measured(net, own, node.step, node.prefix)]
    behind = {node.step for node in nodes if node.step.anchor in own and node.step.kind != "stitch"}
    anchors, watching = Tree(), dict[Step, WatchingStatistics]()
    for number in sorted({step.anchor for step in behind}):
        route = Stitch((Segment(number, 0, net.anchor(number).depth),))
        steps = route_steps(route, lambda *_: "")
        watching |= {step: WatchingStatistics(net.step_norms(step)) for step in steps if step in behind}
        # Steps without the final norm are none of the anchor's.
        if last := max((place for place, step in enumerate(steps) if step in behind), default=0):
            anchors.add(route, steps[: last + 1])

    def mode(step: Step) -> MeasuringStatistics:
        norms = net.step_norms(step)
        return ComparingStatistics(norms, watching[step]) if step in watching else MeasuringStatistics(norms)

    seen = {node.prefix: watching[node.step] for node in anchors.nodes() if node.step in watching}
    return anchors, seen, {node.prefix: mode(node.step) for node in nodes}


def _measure(net: SNNet, tree: Tree, images: Tensor, modes: Mapping[str, MeasuringStatistics]) -> None:
    """Run one batch, and take it into account."""

    def run(node: Node, features: Tensor) -> Tensor:
        with modes.get(node.prefix) or nullcontext():
            return net.run_step(node.step, features)

    for _ in walk_tree(tree, images, run):
        pass


def _even_batches(given: Iterable[Tensor], most: int) -> Iterator[Tensor]:
    """Divide batches evenly: the statistics of a small rest would be poor."""
    for images in given:
        yield from images.tensor_split(math.ceil(len(images) / most))


def _keeping_their_own(net: SNNet, measured: bool | Collection[int]) -> Collection[int]:
    """Return the anchors whose own statistics stay."""
    every = range(len(net.anchors))
    if isinstance(measured, bool):
        return () if measured else every
    if unknown := set(measured) - set(every):
        raise SpaceError(f"anchors names {sorted(unknown)}, and this network has anchors 0 to {every[-1]}.")
    return set(every) - set(measured)


def _is_measured(net: SNNet, own: Collection[int], step: Step, prefix: str) -> bool:
    return bool(net.step_norms(step)) and uncut_anchor(prefix) not in own


def _tree_of_norms(net: SNNet, stitches: Iterable[Stitch], own: Collection[int]) -> Tree:
    """Return the chosen routes as one tree, each up to the last batch norm to measure: no more need be run."""
    tree = Tree()
    for stitch in stitches:
        steps = net.steps(stitch)
        ways = enumerate(zip(steps, net.prefixes(stitch), strict=True))
        last = max((number for number, way in ways if _is_measured(net, own, *way)), default=-1)
        if last >= 0:
            tree.add(stitch, steps[: last + 1])
    return tree
