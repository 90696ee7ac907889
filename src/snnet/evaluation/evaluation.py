"""Scores of every stitch, each distinct step of the routes run once per batch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import torch

from snnet.data import check_classes, classes_of
from snnet.errors import DataError
from snnet.evaluation.batches import Batches, Data
from snnet.evaluation.record import Conditions, Record
from snnet.evaluation.scores import ScoreSheet
from snnet.evaluation.windows import WindowKind, Windows
from snnet.network import SNNet, Stitches, Tree, chosen_stitches
from snnet.space import Step, Stitch
from snnet.table import StitchTable
from snnet.utils import Precision, Show, counted, from_first, joined, shows_progress


@shows_progress("Evaluating")
def evaluate(
    net: SNNet,
    data: Data,
    *,
    stitches: Stitches | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 128,
    output: str | Path | None = None,
    precision: Precision | None = None,
    max_groups: int = 16,
    windows: Windows | WindowKind = "none",
    progress: Show = None,
) -> StitchTable:
    """Measure the scores of stitches, and set them in `net.table`.

    What they are says `net.task`: of a classifier top-1 and top-5 (percent) and the mean cross-entropy (nats).

    The stitches are divided into groups, and each group takes one pass over the data. After each group `output`
    is rewritten, whole or not at all. When the same call is made again after a kill, stitches found there are
    not run again; their data are compared first, which takes one pass. Where `output` holds a table of
    costs, its columns are kept.

    Started in several processes (`torchrun`), each runs all stitches on its own part of the images, and their sums are
    added: every image counts once, however the images divide. The first process alone reads and writes `output`; the
    table is the same in all.

    An image, or a pixel of a dense task, whose loss is not finite (NaN logits) counts as wrong; a stitch with such gets
    no loss, and `table.meta["nonfinite"]` holds its number of them.

    Args:
        net: The network. It is set to evaluation mode, and to `device`, for the duration of the call.
        data: A `DataLoader` or other iterable of `(images (B, C, H, W), labels (B,))`, a `Dataset` of such pairs,
            or two tensors; other tasks have other targets than labels. It is read several times and must be the same
            each time, in any order.
        stitches: Numbers, ids or values, `anchors` or `frontier`; all of the space if None.
        device: Where to run; by default where the network is.
        batch_size: For a `Dataset` or two tensors.
        output: File of the table, JSON Lines.
        precision: `bf16` or `fp16` (not on a CPU) for mixed precision; the network's own if None.
        max_groups: Most groups, hence most passes over the data. More lose less work to a kill.
        windows: Whether networks that end in maps see whole pictures, and how: `slide` takes windows of the network's
            size, `whole` one pass. Data sets of this library give their pictures whole then, the shorter side as the
            network's, with targets at their own size; other data gives such pictures, one in a batch.
        progress: Called with the number of finished and of all (stitch, batch) pairs, and a note; None shows a bar
            where someone watches, False nothing.

    Returns:
        The rows of the chosen stitches, with all columns that `net.table` and `output` have.

    Raises:
        DataError: If the data is empty, does not fit the network, names other classes than `net.classes`, can be read
            only once, or changes between passes.
        RecipeError: If the device does not compute in this precision.
        SpaceError: If a stitch is not in the space.
        TableError: If `output` holds scores of another network, other data or another precision.
    """
    for name, value in (("batch_size", batch_size), ("max_groups", max_groups)):
        if value < 1:
            raise DataError(f"{name}={value} is too small; choose at least 1.")
    check_classes(net.classes, classes_of(data))
    with joined(device) as share:
        chosen = chosen_stitches(net, stitches)
        conditions = Conditions.of(net, precision, device, windows)
        facts = conditions.facts()
        batches = Batches(data, net.num_classes, batch_size, share, net.task, conditions.windows)
        record = from_first(lambda: Record(net, facts, output))
        if record.scores:
            record.check_data(batches.fingerprint().to_dict())
        routes = {stitch: net.steps(stitch) for stitch in chosen if stitch.id not in record.scores}
        weight = cache(lambda step: 1.0 + sum(parameter.numel() for parameter in net.step_parameters(step)))
        groups = plan_groups(routes, weight, max_groups=max_groups)
        # To count the batches of some data is to read them all.
        tell, count = (progress, batches.count()) if progress else (lambda *_: None, 0)
        done, total = (len(chosen) - len(routes)) * count, len(chosen) * count
        if len(routes) < len(chosen):
            tell(done, total, f"{len(chosen) - len(routes)} of {counted(len(chosen), 'stitch')} were evaluated before")
        with conditions.running():
            for number, group in enumerate(groups, 1):
                note = f"group {number}/{len(groups)} ({counted(len(group.stitches), 'stitch')})"
                for batch in _run_group(net, group, batches, record):
                    tell(done + batch * len(group.stitches), total, note)
                if share.is_first:
                    record.save(net.table)
                done += count * len(group.stitches)
                tell(done, total, f"{note} done")
        net.table = record.table(net.table)
        ids = {stitch.id for stitch in chosen}
        return net.table.where(lambda row: row.stitch in ids)


def plan_groups(
    routes: Mapping[Stitch, Sequence[Step]],
    weight: Callable[[Step], float],
    *,
    max_groups: int = 16,
    max_rerun: float = 0.05,
) -> tuple[Tree, ...]:
    """Divide routes into groups, each of which is evaluated in one pass over the data and then saved.

    Routes are taken in the order of their segments, so that those that leave an anchor early come first and
    neighbors share the most. A group ends where it is heavy enough and the next route shares little with it.

    Args:
        routes: Stitches with their steps, in any order.
        weight: Rough cost of a step, in any unit.
        max_groups: Upper bound on the groups, which is also the number of passes over the data.
        max_rerun: Largest part of a group's weight that the next group may have to run again.
    """
    everything = Tree()
    for stitch, steps in routes.items():
        everything.add(stitch, steps)
    enough = everything.weight(weight) / max_groups

    groups: list[Tree] = []
    fresh = 0.0  # weight of the last group without what the group before ran too
    for stitch, steps in sorted(routes.items(), key=lambda route: route[0]):
        again = sum(map(weight, groups[-1].shared(steps))) if groups else 0.0
        if not groups or (fresh >= enough and again <= max_rerun * fresh):
            groups.append(Tree())
            fresh = 0.0
        groups[-1].add(stitch, steps)
        fresh += sum(map(weight, steps)) - again
    return tuple(groups)


def _run_group(net: SNNet, group: Tree, batches: Batches, record: Record) -> Iterator[int]:
    """Yield the number of batches after each; at the end, file the scores."""
    sheet = ScoreSheet(group.stitches, batches)
    for number, (images, targets) in enumerate(batches, 1):
        images, targets = images.to(net.device, non_blocking=True), targets.to(net.device, non_blocking=True)
        sheet.see(images, targets)
        # Only here: a data set that caches what it reads must not be left with inference tensors.
        with torch.inference_mode():
            for stitch, outputs in batches.windows.run(net, group, images, targets.shape[1:]):
                sheet.add(stitch, outputs, targets)
        yield number
    seen = batches.together(sheet.seen)
    if record.facts.setdefault("data", seen.to_dict()) != seen.to_dict():
        raise DataError(
            "The data gave other images or labels than on the pass before; all stitches must see the same images: "
            "turn off random augmentation and random subsets."
        )
    sheet.file(record)
