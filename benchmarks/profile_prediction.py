"""Latencies of whole spaces from their steps (`profile(blocks=True)`) against every stitch measured: time and error.

    python benchmarks/profile_prediction.py
    python benchmarks/profile_prediction.py --families vit cnn --batch 8 --repeats 10

Weights are random, DeiT-Ti/S/B at 224 pixels. For the error, steps and all stitches are measured in the same rounds, so
that a machine that slows down touches both; it is that of the stitches that do not calibrate, in percent of what was
measured. The seconds are those of a whole profile either way, of one batch size.
"""

import argparse
from statistics import fmean, median
from time import perf_counter

import torch
from spaces import FAMILIES, announce, profile_arguments, profiled

from snnet.network import SNNet, stitch
from snnet.profiling import MeasureSettings, step_macs
from snnet.profiling.bench import Bench
from snnet.profiling.steps import calibrate, choose_whole, plan_walks
from snnet.runtime.engines import ENGINES, Conditions
from snnet.utils import torch_threads


def errors_of(bench: Bench) -> list[float]:
    """Return how far predictions are off, for the stitches that do not calibrate, all from the same rounds."""
    net, batch = bench.net, bench.settings.batch_sizes[0]
    routes, images = list(net.space), bench.images(batch)
    steps = {route: net.steps(route) for route in routes}
    macs = step_macs(net)
    rough = {route: float(sum(macs[step] for step in taken)) for route, taken in steps.items()}
    times = bench.time(routes, plan_walks(list(steps.values())), images, bench.inputs(routes, images), rough)
    calibrating = choose_whole(routes, rough, 0)[0]
    middles = {key: median(found) for key, found in times.items()}
    sums = {route: sum(middles[step] for step in taken) for route, taken in steps.items()}
    predicted = calibrate(sums, {route: middles[route] for route in calibrating})
    return [abs(predicted[route] / middles[route] - 1) for route in routes if route not in calibrating]


def seconds(net: SNNet, args: argparse.Namespace, *, blocks: bool) -> float:
    start = perf_counter()
    profiled(net, args, blocks=blocks)
    return perf_counter() - start


def compare(name: str, args: argparse.Namespace) -> None:
    torch.manual_seed(0)
    net = stitch(*FAMILIES[name]).eval()
    whole, steps = (seconds(net, args, blocks=blocks) for blocks in (False, True))
    conditions = Conditions.of(net, args.device, threads=args.threads)
    with torch_threads(conditions.threads):
        engine = ENGINES.get(args.engine)(net, conditions)
        settings = MeasureSettings((args.batch,), repeats=args.repeats)
        errors = errors_of(Bench(net, engine, settings))
    print(
        f"{name:8} {len(net.space):3} stitches: {whole:.1f} s whole, {steps:.1f} s by blocks ({whole / steps:.1f} x); "
        f"error {100 * fmean(errors):.1f} % on average, {100 * max(errors):.1f} % at worst, of {len(errors)}",
        flush=True,
    )


def main() -> None:
    args = profile_arguments(__doc__, repeats=20).parse_args()
    announce(args)
    for name in args.families:
        compare(name, args)


if __name__ == "__main__":
    main()
