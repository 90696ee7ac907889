"""The search as users call it."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import Tensor

from snnet.errors import SpaceError
from snnet.network import SNNet
from snnet.searching.hunt import Hunt
from snnet.searching.images import take_images
from snnet.searching.kept import KeptScores
from snnet.searching.report import SearchReport
from snnet.searching.scoring import Judge
from snnet.searching.settings import USUAL_SEARCH, SearchOptions, SearchSettings
from snnet.utils import Show, evaluating, fast_linear, known_keywords, shows_progress


@known_keywords(SpaceError)
@shows_progress("Searching")
def search(
    net: SNNet,
    images: Tensor | Iterable[Any],
    *,
    max_images: int = USUAL_SEARCH.images,
    seed: int = 0,
    batch_size: int = 64,
    device: torch.device | str | None = None,
    path: str | Path | None = None,
    progress: Show = None,
    **settings: Unpack[SearchOptions],
) -> SearchReport:
    """Find the routes worth having among all cuts of a family, skips included, and make them the network's stitches.

    A least-squares layer is fitted for every single cut on one half of the images, in one pass. Routes are judged on
    the other half, by how far their answers are from the largest anchor's (`net.task` says how; of classes it is the
    Kullback-Leibler divergence). A head over feature maps must have been trained with the anchors. What a cut
    causes is first predicted, from the variance that its map leaves unexplained and from the anchor's own gradients,
    and the most promising routes at every cost are run. They are extended to two and three cuts, with layers fitted to
    what arrives along the route, and run in turn. For each budget the best route is chosen; anchors stay in any case.
    Large networks run fewer routes on fewer images, so that a search takes some times as long as all images take
    through the anchors.

    Args:
        net: The network; its stitches and stitching layers are replaced. One anchor is enough.
        images: Clean images, normalized as `net.input` says: `(N, C, H, W)`, or an iterable (a loader) of such tensors
            or of `(images, labels)`. Labels are not needed; where all images have one, and the task is to tell
            classes, the cross-entropy is added to the divergence.
        max_images: Take this many images at most.
        seed: Of what is drawn at random.
        batch_size: Images at once.
        device: Where to run; the network is moved there and back.
        path: Where scores are kept on the way. If the file holds those of an interrupted call with the same anchors,
            images and settings, the search goes on from them, and ends as it would have.
        progress: Called with (done, in all, note) of each part; None shows a bar where someone watches, False nothing.
        settings: `budgets`, how many (24), evenly spaced between half of the cheapest anchor's cost and the largest
            anchor's. `cost`, what they are of: `macs`, `params`, `memory_mb` (of the weights) or `latency_ms` (on this
            machine, from the times of blocks). `cuts` of a route, at most: 1 to 3 (3). `for_training`, which chooses
            the routes that will be best once they are trained, few blocks of a large anchor before many of a small one.

    Returns:
        What was chosen, and the table of all candidates.

    Raises:
        DataError: If there are fewer than four images, or they are not the network's.
        SpaceError: If a setting is out of range, or no cut joins feature maps of one size.
        AnchorError: If an anchor yields NaN or infinity.

    Example:
        >>> net = snnet.stitch("deit_base_patch16_224", pretrained=True, space="search")  # doctest: +SKIP
        >>> snnet.search(net, images)  # doctest: +SKIP
    """
    start = time.perf_counter()
    how = SearchSettings(**settings, images=max_images)
    taken, labels = take_images(net, images, how.images)
    half = len(taken) // 2
    with evaluating(net, device) as place, torch.no_grad(), fast_linear(place), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = Judge(net, taken[half:], None if labels is None else labels[half:], batch_size)
        facts = {"anchors": net.anchors.state_dict(), "images": taken, "labels": labels, **how.model_dump()}
        if net.has_head:
            facts |= {"head": net.head.state_dict(), "layers": net.layers.state_dict()}
        kept = KeptScores(None if path is None else Path(path), {**facts, "seed": seed, "batch_size": batch_size})
        hunt = Hunt(net, taken[:half], judge, how, kept, progress)
        hunt.run_singles()
        hunt.run_extended()
        hunt.run_on()
        # The network changes only once all is done: an error leaves it as it was.
        found, rank = hunt.chosen(taken), net.lora_rank
        net.set_lora_rank(None).set_space(found.space).layers.load_state_dict(found.layers.state_dict())
        net.set_lora_rank(rank)
    sizes = (half, len(taken) - half)
    return SearchReport(
        tuple(net.space), hunt.table(), how.cost, tuple(hunt.budgets), sizes, time.perf_counter() - start
    )
