"""Segmentation: one stitched network against its anchors, each fine-tuned alone, at equal multiply-adds of training.

All start from the same anchors and images, and all anchors get a head of their own. A training step counts three
forward passes of what is drawn, and one of its teacher where there is one, for every image. The search counts, too:
every anchor's gradients on all of its images, and every candidate that was run as if it shared nothing with others.
The anchors alone take equally many steps each, as many as all that buys; or more, with `--share`: ours is then trained
for that share of its steps.

Stitches are chosen for each budget on one half of the validation images and reported on the other. Printed: heights of
both frontiers, between the costs of the cheapest stitch (or of the cheapest anchor alone, if that is dearer) and of the
largest anchor; the gain; and by how much, at most, a chosen route lies under a cheaper one. Mean and standard deviation
over the seeds.

    python benchmarks/dense_training.py --seeds 0 1 2 --shares 1 0.6667 --output runs/dense

Killed, the same command goes on where it stopped.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch

from snnet.data import TrainBatches, open_pair
from snnet.evaluation import evaluate
from snnet.network import SNNet, stitch
from snnet.profiling import count_costs
from snnet.recipes import Recipe, open_run
from snnet.table import DIVERGENCE, StitchRow, StitchTable, frontier_height, half_of, pareto_frontier
from snnet.training import Trainer


def of_search(directory: Path, recipe: Recipe) -> float:
    """Return the multiply-adds of a search."""
    if recipe.routes is None:
        return 0.0
    found = StitchTable.load(directory / "searched" / "search.jsonl")
    run = sum(row.macs for row in found if DIVERGENCE in row.values)
    return recipe.routes.images * 3 * sum(row.macs for row in found.anchors) + recipe.routes.images // 2 * run


def of_training(table: StitchTable, recipe: Recipe) -> float:
    """Return the multiply-adds of both phases, as drawn on average."""
    anchors = [row.macs for row in table.anchors]
    teacher = recipe.loss.teacher is not None
    means = {}
    for kind, rows in (("anchors", table.anchors), ("stitches", table.stitched)):
        each = [3 * row.macs + teacher * anchors[max(row.route.anchors)] for row in rows]
        means[kind] = statistics.fmean(each) if each else 0.0
    share = recipe.sampler.options.get("share", 0.2) if len(table.stitched) else 1.0
    step = share * means["anchors"] + (1 - share) * means["stitches"]
    largest = 1 / len(anchors) if recipe.first.largest is None else recipe.first.largest
    first = 3 * (largest * anchors[-1] + (1 - largest) * statistics.fmean(anchors[:-1] or anchors))
    return recipe.data.batch_size * (recipe.first.steps * first + (recipe.run.steps or 0) * step)


def run(recipe: Recipe, directory: Path) -> tuple[StitchTable, float]:
    """Run a recipe, unless it is done; return its table, and what it cost."""
    done = directory / "done.json"
    if not done.is_file():
        with open_run(recipe, directory) as one:
            table = one.finish()
            assert table is not None
            cost = of_training(table, recipe) + of_search(directory, recipe)
        done.write_text(json.dumps(cost))
    return StitchTable.load(directory / "table.jsonl"), json.loads(done.read_text())


def ours(name: str, changes: dict[str, Any], share: float, directory: Path) -> tuple[StitchTable, float]:
    """Train the stitched network for a share of its steps."""
    whole = Recipe.load(name, changes)
    steps = {"first.steps": round(share * whole.first.steps), "run.steps": round(share * (whole.run.steps or 0))}
    return run(Recipe.load(name, {**changes, **steps}), directory)


def alone(name: str, changes: dict[str, Any], macs: float, directory: Path) -> StitchTable:
    """Train each anchor alone, all for equally many steps, with so many multiply-adds in all; return one table."""
    recipe = Recipe.load(name, changes)
    network, head, data, seed = recipe.network, recipe.head, recipe.data, recipe.run.seed
    assert head is not None
    found = []
    for anchor in network.anchors:
        path = directory / f"{anchor}.jsonl"
        torch.manual_seed(seed)
        net = stitch(anchor, pretrained=network.pretrained, image_size=network.image_size, space="search")
        train, validation = open_pair(input=net.input, **data.source)
        outputs = len(train.classes)
        net.set_head(head.name, outputs, task=recipe.built_task, taps=head.taps, **head.options)
        count_costs(net)
        found.append((net, train, validation, path))
    costs = [table_of(net).rows[0].macs for net, *_ in found]
    steps = round(macs / (3 * data.batch_size * sum(costs)))
    rows, facts = [], {}
    for number, (net, train, validation, path) in enumerate(found):
        if not path.is_file():
            shift = recipe.augment.batch.of(net.input) if recipe.augment.batch else None
            batches = TrainBatches(train, data.batch_size, seed, shift)
            how = recipe.with_run(steps=steps).run
            Trainer(net, batches, run=how, optim=recipe.first.optim).fit(progress=False)
            evaluate(net, validation, output=path, progress=False)
        table = StitchTable.load(path)
        (row,), facts = table.rows, table.meta
        rows.append(StitchRow(number, f"{number}:0-{row.route.segments[0].stop}", row.values))
    return StitchTable(rows, {"score": facts["score"], "images": facts["images"]})


def table_of(net: SNNet) -> StitchTable:
    """Return the table that a network has."""
    assert net.table is not None
    return net.table


def worst_step(table: StitchTable) -> float:
    """Return by how much a route that is chosen on one half lies under a cheaper one on the other, at most."""
    worst = 0.0
    for half in (0, 1):
        chosen = list(pareto_frontier(table, score=half_of(table.score, half)))
        seen = [row.values[half_of(table.score, 1 - half)] for row in chosen]
        worst = max([worst, *(max(seen[: n + 1]) - score for n, score in enumerate(seen))])
    return worst


def main() -> None:
    """Run all, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="embedded_cnn_segmentation")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--output", type=Path, default=Path("runs/dense"))
    told = parser.parse_args()
    gains: dict[str, list[float]] = {}
    for seed in told.seeds:
        changes: dict[str, Any] = {**dict(text.split("=", 1) for text in told.set), "run.seed": seed}
        place = told.output / f"seed-{seed}"
        _, macs = ours(told.recipe, changes, 1.0, place / "ours-1")
        theirs = alone(told.recipe, changes, macs, place / "alone")
        for share in told.shares:
            table, cost = ours(told.recipe, changes, share, place / f"ours-{share:g}")
            # A smaller anchor alone costs a little less: its maps go through no layers.
            each_costs = [[row.macs for row in one] for one in (table, theirs)]
            ends = max(map(min, each_costs)), max(map(max, each_costs))
            below = frontier_height(theirs, between=ends)
            above = frontier_height(table, between=ends)
            gains.setdefault(f"{share:g}", []).append(above.percent - below.percent)
            gain = gains[f"{share:g}"][-1]
            each = ["/".join(f"{row.values[one.score]:.2f}" for row in one.anchors) for one in (table, theirs)]
            print(
                f"seed {seed}, {share:.2f} of the steps, {cost / macs:.2f} of the MACs: frontier {above.text}, anchors "
                f"alone {below.text}, gain {gain:+.2f}; anchors {each[0]}, alone {each[1]}; a chosen route at most "
                f"{worst_step(table):.2f} under a cheaper one",
                flush=True,
            )
    for share, found in gains.items():
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        print(f"{share} of the steps: gain {statistics.fmean(found):+.2f} ({spread:.2f})")


if __name__ == "__main__":
    main()
