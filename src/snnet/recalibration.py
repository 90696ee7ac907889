"""Running statistics of batch norms, measured anew for every route from a few images."""

import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnet.errors import DataError
from snnet.evaluation.evaluate import walk_tree
from snnet.evaluation.plan import Node, Tree
from snnet.init.images import count_images, image_batches
from snnet.modes import evaluating
from snnet.network import SNNet, StitchLike
from snnet.progress import Progress
from snnet.statistics import MeasuringStatistics, batch_norms


@dataclass(frozen=True, slots=True)
class RecalibrationReport:
    """What `recalibrate` did.

    Attributes:
        images: Images that were run; 0 if no chosen stitch has batch norm.
        stitches: Chosen stitches that have batch norm.
        prefixes: Beginnings of routes that have statistics of their own now.
        seconds: How long it took.
    """

    images: int
    stitches: int
    prefixes: int
    seconds: float


def has_batch_norm(net: SNNet) -> bool:
    """Return whether there is anything to recalibrate: a batch norm with running statistics."""
    return bool(batch_norms([net]))


def recalibrate(
    net: SNNet,
    images: Tensor | Iterable[Any],
    *,
    stitches: Iterable[StitchLike] | None = None,
    batch_size: int = 64,
    max_images: int | None = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> RecalibrationReport:
    """Measure the running statistics that the batch norms of each route need, and keep them with the network.

    A batch norm behind a stitching layer receives other features than the anchor's own, and so does one of an anchor
    that was trained within other routes. Each batch norm normalizes with the statistics of the current batch, in
    evaluation mode otherwise, and those of all batches are pooled: mean and unbiased variance over all images that
    it saw. From then on `net(x, stitch)` uses them, and with it `net.at(stitch)`, evaluation and everything else.
    Routes that begin alike share what belongs to the beginning; it is measured once.

    The statistics go into `net.statistics` once all are measured; an error leaves those there as they were. The
    anchors' own running statistics, modes and random state do not change. Scores in `net.table` go, for they were
    others'. A network without batch norm is left alone.

    What was measured fits these weights: `Trainer`, `initialize` and `load_state_dict` drop it. After changes of your
    own, measure again or call `net.forget_statistics()`.

    Args:
        net: The network.
        images: Clean images, normalized as `net.input` says: `(N, C, H, W)`, or an iterable (a loader) of such
            tensors or of `(images, labels)`. A few hundred are plenty.
        stitches: Numbers, ids or values; all of the space by default. Statistics of other stitches stay, except
            those of a beginning that they share with a chosen one.
        batch_size: Images that are normalized together, at most; batches are divided evenly.
        max_images: Stop after this many images.
        device: Where to run; the network is moved there and back.
        progress: Called with (images done, images in all or 0, note).

    Raises:
        DataError: If images are missing, of another size, not finite, or too few for a variance.
        AnchorError: If features at a batch norm are not finite.
        SpaceError: If a stitch is not in the space.

    Example:
        >>> recalibrate(net, calibration_images(dataset, 512))  # doctest: +SKIP
    """
    start = time.perf_counter()
    for name, value in (("batch_size", batch_size), ("max_images", max_images)):
        if value is not None and value < 2:
            raise DataError(f"{name} is {value}; it must be at least 2, for one image may have no variance.")
    net.statistics.norms.clear()
    tree = _tree_of_norms(net, net.space if stitches is None else stitches)
    if not tree.stitches:
        return RecalibrationReport(0, 0, 0, time.perf_counter() - start)
    # Not inference_mode: a module may cache tensors that later training needs. A loader may draw random numbers.
    with evaluating(net, device) as place, torch.no_grad(), torch.random.fork_rng(devices=[]):
        modes = {
            node.prefix: MeasuringStatistics(norms) for node in tree.nodes() if (norms := net.step_norms(node.step))
        }
        total, done, dtype = count_images(images, max_images), 0, next(net.parameters()).dtype
        for batch in _even_batches(image_batches(images, net.input.size, sys.maxsize, max_images), batch_size):
            _add_batch(net, tree, modes, batch.to(place, dtype))
            done += len(batch)
            if progress:
                progress(done, total, "images")
        net.statistics.store({prefix: mode.result() for prefix, mode in modes.items()})
    net.forget_scores()
    return RecalibrationReport(done, len(tree.stitches), len(modes), time.perf_counter() - start)


def _add_batch(net: SNNet, tree: Tree, modes: Mapping[str, MeasuringStatistics], images: Tensor) -> None:
    def run(node: Node, features: Tensor) -> Tensor:
        with modes.get(node.prefix) or nullcontext():
            return net.apply_step(node.step, features)

    for _ in walk_tree(tree, images, run):
        pass


def _even_batches(given: Iterable[Tensor], most: int) -> Iterator[Tensor]:
    """Divide batches evenly: the statistics of a small rest would be poor."""
    for images in given:
        yield from images.tensor_split(math.ceil(len(images) / most))


def _tree_of_norms(net: SNNet, stitches: Iterable[StitchLike]) -> Tree:
    """Return the chosen routes as one tree, each up to its last batch norm: what comes after need not be run."""
    tree = Tree()
    for stitch in dict.fromkeys(map(net.space.find, stitches)):
        steps = net.steps(stitch)
        last = max((number for number, step in enumerate(steps) if net.step_norms(step)), default=-1)
        if last >= 0:
            tree.add(stitch, steps[: last + 1])
    return tree
