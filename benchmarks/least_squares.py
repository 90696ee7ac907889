"""Least-squares initialization of DeiT-Ti/S/B against the paper's route, in one run on one machine.

The alternative is written from the paper (https://arxiv.org/abs/2302.06586, section 3.2): for every pair of
neighboring anchors, run both on all calibration images in one batch and keep what every block gives; for each of the
68 cuts, take the float32 pseudo-inverse of the front block's activations (with a column of ones for the bias) times
what the entered block receives; average the solutions of a window's cuts.

Each side runs in a process of its own, the two in turn. Printed per side: seconds in the anchors' forward passes,
seconds in everything else ("solve"), their sum, peak resident memory above that of the process that holds weights and
images, and the mean over layers of the relative residual of the joint problem of the window. Weights and images are
random.

    python benchmarks/least_squares.py --images 20 100

On a machine that others use too, `--threads 1 --clock cpu` counts CPU seconds, which their load disturbs far less.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from memory import peak_memory, reset_peak_memory
from torch import Tensor

import snnet
from snnet.init import collect_equations, initialize

MODELS = ("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
GOALS = {"solve": 5.0, "total": 1.5, "memory": 5.0}


class ForwardClock:
    """Seconds spent in stems and blocks of a network's anchors."""

    def __init__(self, net: snnet.SNNet, clock: Callable[[], float]) -> None:
        self.seconds, self._clock = 0.0, clock
        for anchor in net.anchors:
            anchor.stem, anchor.block = self._timed(anchor.stem), self._timed(anchor.block)

    def _timed(self, function: Any) -> Any:
        def run(*args: Any) -> Any:
            start = self._clock()
            try:
                return function(*args)
            finally:
                self.seconds += self._clock() - start

        return run


@torch.no_grad()
def paper_route(net: snnet.SNNet, images: Tensor) -> None:
    """Solve every cut by a pseudo-inverse and average over the window."""
    pairs = dict.fromkeys((layer.front, layer.back) for layer in net.space.layers)
    for front, back in pairs:
        features = {number: all_features(net.anchor(number), images) for number in (front, back)}
        for layer in (layer for layer in net.space.layers if (layer.front, layer.back) == (front, back)):
            total: Any = 0
            for cut in layer.cuts:
                a, b = features[front][cut.leave + 1], features[back][cut.enter]
                total = total + torch.linalg.pinv(torch.cat([a, torch.ones(len(a), 1)], dim=1)) @ b
            average, transform = total / len(layer.cuts), net.layers[layer.name].transform
            transform.weight.copy_(average[:-1].T)
            transform.bias.copy_(average[-1])


def all_features(anchor: Any, images: Tensor) -> list[Tensor]:
    """Return what the stem and every block give, as rows."""
    features = [anchor.stem(images)]
    for block in range(anchor.depth):
        features.append(anchor.block(block, features[-1]))
    return [rows.flatten(0, 1) for rows in features]


def build(count: int) -> tuple[snnet.SNNet, Tensor]:
    torch.manual_seed(0)
    return snnet.stitch(*MODELS).eval(), torch.randn(count, 3, 224, 224)


def run_side(side: str, count: int, clock: Callable[[], float], output: Path) -> None:
    """Run one side and save its layers and figures; called in a process of its own."""
    net, images = build(count)
    net.anchor(0)(images[:1])  # first calls set up thread pools and kernels
    forward = ForwardClock(net, clock)
    before = reset_peak_memory()
    start = clock()
    if side == "streaming":
        initialize(net, images)
    else:
        paper_route(net, images)
    total = clock() - start
    figures = {"forward": forward.seconds, "solve": total - forward.seconds, "total": total}
    output.with_suffix(".json").write_text(json.dumps({**figures, "memory": (peak_memory() - before) / 2**20}))
    torch.save(net.layers.state_dict(), output)


def measure(side: str, count: int, clock: str, output: Path) -> dict[str, float]:
    options = {"side": side, "images": count, "clock": clock, "threads": torch.get_num_threads(), "output": output}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    subprocess.run([sys.executable, __file__, *arguments], check=True)
    figures: dict[str, float] = json.loads(output.with_suffix(".json").read_text())
    return figures


def compare(count: int, repeats: int, clock: str, directory: Path) -> bool:
    """Run both sides in turn, print figures and ratios, and tell whether all goals are met."""
    sides = ("paper", "streaming")
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side in sides:
            runs[side].append(measure(side, count, clock, directory / side))
    net, images = build(count)
    equations = collect_equations(net, images)
    residuals = {}
    for side in sides:
        net.layers.load_state_dict(torch.load(directory / side))
        maps = {name: net.layers[name].transform for name in equations}
        residuals[side] = [equations[name].relative_residual(m.weight.T, m.bias) for name, m in maps.items()]
    median = {side: {key: statistics.median(run[key] for run in runs[side]) for key in runs[side][0]} for side in sides}
    print(f"\n{count} images, median of {repeats}, {clock} seconds, {torch.get_num_threads()} threads")
    print(f"{'':10} {'forward s':>10} {'solve s':>10} {'total s':>10} {'memory MiB':>11} {'mean residual':>14}")
    for side in sides:
        row = median[side]
        figures = f"{row['forward']:10.2f} {row['solve']:10.2f} {row['total']:10.2f} {row['memory']:11.0f}"
        print(f"{side:10} {figures} {statistics.mean(residuals[side]):14.8f}")
    met = True
    for key, goal in GOALS.items():
        ratio = median["paper"][key] / median["streaming"][key]
        # Few images fit anywhere; memory counts where there are many.
        counts = key != "memory" or count >= 100
        met &= ratio >= goal or not counts
        print(f"{key}: {ratio:.2f} times less" + f" (goal {goal})" * counts)
    worst = max(ours - theirs for ours, theirs in zip(residuals["streaming"], residuals["paper"], strict=True))
    print(f"largest residual above the paper's, over {len(equations)} layers: {worst:.1e} (goal: none above 1e-7)")
    return met and worst <= 1e-7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--side", choices=["paper", "streaming"], help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.side:
        run_side(args.side, args.images[0], CLOCKS[args.clock], args.output)
        return
    with tempfile.TemporaryDirectory() as directory:
        met = [compare(count, args.repeats, args.clock, Path(directory)) for count in args.images]
    raise SystemExit(not all(met))


if __name__ == "__main__":
    main()
