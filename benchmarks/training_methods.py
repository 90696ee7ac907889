"""What training gives: the default method, which searches first, against windows, the paper, and distilling one model.

All start from the same anchors and images and spend the same multiply-adds. A training step counts three forward passes
of the drawn stitch (one of what comes before the first weight that moves, two of frozen weights behind it) and one of
its teacher, for every image. The default's search counts too: every anchor's gradients on all of its images, and every
candidate that was run as if it shared nothing with others. The other methods take as many steps as all that buys.

- `default`: the routes that a search finds, trained as `recipe: default` says.
- `windows`: the paper's space, trained as `recipe: windows` says.
- `paper`: the paper's space, uniform sampling, hard labels of the largest anchor, one rate.
- `distilled`: the second largest anchor alone, taught by the largest; what one would do without stitches.

Printed per family and method, mean and spread (standard deviation) over the seeds: by how much the frontier lies above
keeping the anchors (chosen on half of the images, reported on the other), its height, the height at the cost of the
distilled model, the part of the stitches that lies on the frontier, and what anchors lost.

    python benchmarks/training_methods.py --family vit cnn swin cnn-vit --seeds 0 1 2 --output runs/methods

Killed, the same command goes on where it stopped. A family of one's own, such as that of `examples/cifar10`:

    python benchmarks/training_methods.py --family recipe.yaml --family-file family.py --set data.root=CIFAR10
"""

import argparse
import json
import statistics
from operator import mul
from pathlib import Path
from typing import Any

import snnet
from snnet.cli.families import import_families
from snnet.network import SNNet
from snnet.profiling import step_macs
from snnet.recipes import Recipe, build_parts, open_run
from snnet.recipes.demo import FAMILIES
from snnet.recipes.run import BEFORE
from snnet.table import (
    DIVERGENCE,
    StitchTable,
    anchor_regression,
    frontier_gain,
    frontier_height,
    pareto_frontier,
)

METHODS = ("default", "windows", "paper", "distilled")
# In the paper the anchors of hierarchical families learn at a tenth of the layers' rate. With one rate for all, the
# ResNets do better at half the default's.
PAPER_SETTINGS = {"swin": {"optim.anchor_lr_scale": 0.1}, "cnn": {"optim.lr": 2e-3}}
FIGURES = {
    "gain": "gain over the anchors",
    "height": "height %",
    "at": "height at one budget %",
    "on": "stitches on the frontier %",
    "smallest": "smallest anchor lost",
    "lost": "most lost by an anchor",
}


def recipe_of(family: str, method: str, settings: dict[str, Any]) -> Recipe:
    """Return the family's recipe with the given method; every step is logged, for the count."""
    source = FAMILIES.get(family, family)
    own = PAPER_SETTINGS.get(family, {}) if method == "paper" else {}
    # The family's file is the default method with changes of its own, which a method given as a flag would undo.
    flag: dict[str, Any] = {"recipe": method} if method in ("windows", "paper") else {}
    if method == "windows" and (teacher := Recipe.load(source).loss.teacher) is not None:
        flag["loss.teacher.alpha"] = teacher.alpha
    if method == "distilled":
        flag |= {"routes": None, "sampler.name": "single", "sampler.options": {"stitch": second_largest(source)}}
        flag |= {"evaluation.stitches": "anchors"}
        flag |= {"loss.teacher.source": "largest-anchor", "optim.freeze": "nothing", "optim.anchor_lr_scale": 1.0}
    if method != "default":
        settings = {name: value for name, value in settings.items() if not name.startswith("routes.")}
    # No looks, which cost time and decide nothing.
    usual = {"run.log_every": 1, "run.trackers": [], "run.threads": 1, "evaluation.every": 0, "evaluation.budgets": []}
    overrides = {**usual, **flag, **own, **settings}
    return Recipe.load(source, overrides)


def second_largest(source: str) -> str:
    """Return the id of the second largest anchor of a recipe."""
    net = snnet.stitch(*Recipe.load(source).network.anchors)
    return net.space.where(max_segments=1)[max(0, len(net.anchors) - 2)].id


def of_search(directory: Path, recipe: Recipe) -> float:
    """Return the multiply-adds of a search: three passes of every anchor, and every candidate that was run."""
    section, table = recipe.routes, directory / "searched" / "search.jsonl"
    if section is None:
        return 0.0
    candidates = StitchTable.load(table)
    run = sum(row.macs for row in candidates if DIVERGENCE in row.values)
    return section.images * 3 * sum(row.macs for row in candidates.anchors) + section.images // 2 * run


class StepCost:
    """What a step of a run costs in multiply-adds for each image.

    Args:
        net: What is trained.
        recipe: How it is trained.
    """

    def __init__(self, net: SNNet, recipe: Recipe) -> None:
        macs = step_macs(net)
        frozen = recipe.optim.frozen(len(net.anchors))
        anchors = [sum(macs[step] for step in net.steps(number)) for number in range(len(net.anchors))]
        teacher = recipe.loss.teacher.source if recipe.loss.teacher else ""
        self.of: dict[str, int] = {}
        self.forward = 0
        for route in net.space:
            steps = net.steps(route)
            moves = [step.kind == "stitch" or step.anchor not in frozen for step in steps]
            # Forward; backward to the features, from the first weight that moves on; and to weights that move.
            passes = [1 + any(moves[: place + 1]) + moved for place, moved in enumerate(moves)]
            forward = [macs[step] for step in steps]
            self.forward += sum(forward)
            taught = anchors[max(route.anchors) if teacher == "own-anchors" else -1]
            self.of[route.id] = sum(map(mul, forward, passes)) + taught


def spent(directory: Path, recipe: Recipe) -> float:
    """Return the multiply-adds of a run, read from its log."""
    cost = StepCost(snnet.load(directory), recipe)
    lines = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    drawn = [line["stitch"] for line in lines if "stitch" in line]
    assert len(drawn) == recipe.run.steps, (
        f"{directory}: {len(drawn)} steps in the log, {recipe.run.steps} in the recipe"
    )
    total = recipe.data.batch_size * sum(cost.of[stitch] for stitch in drawn) + of_search(directory, recipe)
    if (directory / "starting_scores.jsonl").is_file():
        total += recipe.sampler.images * cost.forward
    return total


def steps_for(recipe: Recipe, budget: float) -> int:
    """Return how many steps the multiply-adds buy, where every stitch that the sampler knows is drawn alike."""
    cost = StepCost(build_parts(recipe).net, recipe)
    drawn = [recipe.sampler.options["stitch"]] if recipe.sampler.name == "single" else list(cost.of)
    return round(budget / (statistics.fmean(cost.of[stitch] for stitch in drawn) * recipe.data.batch_size))


def figures(table: StitchTable, before: StitchTable, source: str) -> dict[str, float]:
    """Return what is compared."""
    losses, gain = list(anchor_regression(before, table).values()), frontier_gain(table)
    one = table[second_largest(source)].macs
    on = sum(not row.route.is_anchor for row in pareto_frontier(table))
    return {
        "gain": gain.points,
        "height": gain.frontier.percent,
        "at": frontier_height(table, between=(one, one)).percent,
        "on": 100 * on / max(1, len(table.stitched)),
        "smallest": losses[0],
        "lost": max(losses),
    }


def run(family: str, method: str, seed: int, budget: float | None, args: argparse.Namespace) -> dict[str, float]:
    """Run one method once, or read what an earlier call wrote."""
    name = Path(family).stem
    directory = args.output / f"{name}-{method}-{seed}"
    kept = directory / "figures.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text()))
    settings = {**dict(pair.split("=", 1) for pair in args.set), "run.seed": seed, "evaluation.images": args.images}
    recipe = recipe_of(family, method, settings)
    if budget is not None:
        recipe = recipe.with_run(steps=steps_for(recipe, budget))
    with open_run(recipe, directory) as begun:
        if not begun.begun:
            # As they came, which is what is lost and what is gained upon.
            begun.evaluate(directory / BEFORE, stitches=begun.parts.net.space.where(max_segments=1))
        table = begun.finish()
    assert table is not None
    found = figures(table, StitchTable.load(directory / BEFORE), FAMILIES.get(family, family))
    found |= {"macs": spent(directory, recipe), "steps": float(recipe.run.steps or 0)}
    kept.write_text(json.dumps(found))
    print(
        f"{family} {method} seed {seed}: " + ", ".join(f"{key} {value:.4g}" for key, value in found.items()), flush=True
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="+", default=list(FAMILIES), help="an embedded family, or a recipe file")
    parser.add_argument("--family-file", nargs="*", type=Path, default=[], help="as of every command")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=METHODS[1:], choices=METHODS[1:], help="beside the default")
    parser.add_argument("--images", type=int, default=4000, help="test images")
    parser.add_argument("--output", type=Path, default=Path("runs/methods"))
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of all methods; of `routes` of the default"
    )
    args = parser.parse_args()
    import_families(args.family_file)
    for family in args.family:
        methods = ["default", *args.methods]
        runs: dict[str, list[dict[str, float]]] = {method: [] for method in methods}
        for seed in args.seeds:
            ours = run(family, "default", seed, None, args)
            runs["default"].append(ours)
            for method in args.methods:
                runs[method].append(run(family, method, seed, ours["macs"], args))
        print(f"\n{family}, {len(args.seeds)} seeds, {args.images} test images")
        print(f"{'':26}" + "".join(f"{method:>24}" for method in methods))
        for key, title in {**FIGURES, "macs": "multiply-adds", "steps": "steps"}.items():
            cells = []
            for method in methods:
                values = [found[key] for found in runs[method]]
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                cells.append(f"{statistics.fmean(values):12.5g} ± {spread:.2g}".rjust(24))
            print(f"{title:26}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
