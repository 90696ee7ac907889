"""The default training method against the paper's, at equal multiply-adds spent in training, over several seeds.

Both start from the same anchors, stitching layers and images. A training step counts three forward passes of the drawn
stitch (one of what comes before the first weight that moves, two of frozen weights behind it) and one of its teacher,
for every image; the default's look at training images before it begins counts too. The paper's method (uniform
sampling, hard labels of the largest anchor, one rate) then takes as many steps as the default's multiply-adds buy.

Printed per family and method, mean and spread (standard deviation) over the seeds: by how much the frontier lies above
keeping the anchors (chosen on half of the images, reported on the other), the mean top-1 of all stitches, what
the smallest anchor lost, the largest loss of an anchor, the hypervolume of the frontier (over the range of costs: its
mean height), the gap to the lines between the anchors as they came, and the worst stitch against the weaker of its
anchors.

    python benchmarks/training_methods.py --family vit cnn swin cnn-vit --seeds 0 1 2 --output runs/methods

A run takes as long as `snnet demo` on that family. Killed, the same command goes on where it stopped. A family of one's
own, such as that of `examples/cifar10`:

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
from snnet.profiling import step_macs
from snnet.recipes import DemoResult, Recipe, run_demo
from snnet.recipes.demo import FAMILIES
from snnet.table import hypervolume

METHODS = ("default", "paper")
# In the paper the anchors of hierarchical families learn at a tenth of the layers' rate. With one rate for all, the
# ResNets do better at half the default's.
PAPER_SETTINGS = {"swin": {"optim.anchor_lr_scale": 0.1}, "cnn": {"optim.lr": 2e-3}}
FIGURES = {
    "gain": "gain over the anchors",
    "fair": "fair height %",
    "mean": "mean top-1 %",
    "smallest": "smallest anchor lost",
    "lost": "most lost by an anchor",
    "volume": "height of the frontier %",
    "gap": "gap to lines",
    "worst": "worst stitch",
}


def recipe_of(family: str, method: str, steps: int | None, settings: dict[str, Any]) -> Recipe:
    """Return the family's recipe with the given method; every step is logged, for the count."""
    own = PAPER_SETTINGS.get(family, {}) if method == "paper" else {}
    # The family's file is the default method with changes of its own, which a method given as a flag would undo.
    flag = {} if method == "default" else {"recipe": method}
    overrides = {**flag, "run.log_every": 1, "run.trackers": [], "run.threads": 1, **own, **settings}
    if steps is not None:
        overrides["run.steps"] = steps
    return Recipe.load(FAMILIES.get(family, family), overrides)


class StepCost:
    """What a step of a run costs in multiply-adds for each image.

    Args:
        directory: That of a run, with its network.
        recipe: What it trained by.
    """

    def __init__(self, directory: Path, recipe: Recipe) -> None:
        net = snnet.load(directory)
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
    cost = StepCost(directory, recipe)
    lines = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    drawn = [line["stitch"] for line in lines if "stitch" in line]
    assert len(drawn) == recipe.run.steps, (
        f"{directory}: {len(drawn)} steps in the log, {recipe.run.steps} in the recipe"
    )
    total = recipe.data.batch_size * sum(cost.of[stitch] for stitch in drawn)
    if (directory / "starting_scores.jsonl").is_file():
        total += recipe.sampler.images * cost.forward
    return total


def steps_for(budget: float, recipe: Recipe, directory: Path) -> int:
    """Return how many steps of uniform sampling the multiply-adds buy, on the network of a run."""
    mean = statistics.fmean(StepCost(directory, recipe).of.values())
    return round(budget / (mean * recipe.data.batch_size))


def figures(result: DemoResult) -> dict[str, float]:
    """Return what is compared."""
    losses = list(result.anchor_losses.values())
    macs = [row.macs for row in result.after]
    # From one corner for both methods, and as a height: the frontier's mean top-1 over the range of costs.
    area = hypervolume(result.after, reference=(max(macs), 0.0))
    return {
        "gain": result.gain.points,
        "fair": result.gain.frontier.percent,
        "mean": statistics.fmean(row.top1 for row in result.after),
        "smallest": losses[0],
        "lost": max(losses),
        "volume": area / (max(macs) - min(macs)),
        "gap": result.mean_gap(result.after),
        "worst": -result.worst_drop(result.after),
    }


def run(family: str, method: str, seed: int, budget: float | None, args: argparse.Namespace) -> dict[str, float]:
    """Run one method once, or read what an earlier call wrote."""
    name = Path(family).stem
    directory = args.output / f"{name}-{method}-{seed}"
    kept = directory / "figures.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text()))
    settings = {**dict(pair.split("=", 1) for pair in args.set), "run.seed": seed, "evaluation.images": args.images}
    steps = None
    if budget is not None:
        steps = steps_for(budget, recipe_of(family, method, None, settings), args.output / f"{name}-default-{seed}")
    recipe = recipe_of(family, method, steps, settings)
    result = run_demo(directory, recipe=recipe)
    found = {**figures(result), "macs": spent(directory, recipe), "steps": float(recipe.run.steps or 0)}
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
    parser.add_argument("--images", type=int, default=2000, help="test images")
    parser.add_argument("--output", type=Path, default=Path("runs/methods"))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of both methods")
    args = parser.parse_args()
    import_families(args.family_file)
    for family in args.family:
        runs: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
        for seed in args.seeds:
            ours = run(family, "default", seed, None, args)
            runs["default"].append(ours)
            runs["paper"].append(run(family, "paper", seed, ours["macs"], args))
        print(f"\n{family}, {len(args.seeds)} seeds, {args.images} test images")
        print(f"{'':26}" + "".join(f"{method:>24}" for method in METHODS))
        for key, title in {**FIGURES, "macs": "multiply-adds", "steps": "steps"}.items():
            cells = []
            for method in METHODS:
                values = [found[key] for found in runs[method]]
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                cells.append(f"{statistics.fmean(values):12.5g} ± {spread:.2g}".rjust(24))
            print(f"{title:26}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
