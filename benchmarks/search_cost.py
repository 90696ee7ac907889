"""What a search of DeiT-Ti/S/B costs, against the paper's least-squares initialization of 71 stitches.

Both run on the same images in one process, the initialization first. Printed: seconds of each and of the parts of the
search, what all single cuts take from the first image to their scores in times of the initialization, and peaks of
resident memory above that of the process with weights and images. Weights and images are random: what is found means
nothing.

    python benchmarks/search_cost.py --images 100
    python benchmarks/search_cost.py --cuts 1 --threads 1 --clock cpu

On a machine that others use too, `--threads 1 --clock cpu` counts CPU seconds, which their load disturbs far less.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from memory import peak_memory, reset_peak_memory

import snnet
from snnet.init import initialize
from snnet.searching.hunt import Hunt

MODELS = ("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
GOALS = {"ratio": 3, "memory": 2048}
SECONDS: dict[str, float] = {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--cuts", type=int, default=3, help="cuts of a route, at most")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = CLOCKS[options.clock]
    images = torch.randn(options.images, 3, 224, 224)
    anchors = [snnet.stitch(name, pretrained=False, space="search").anchor(0).model for name in MODELS]

    net = snnet.stitch(*anchors).eval()
    before, start = reset_peak_memory(), clock()
    initialize(net, images, progress=False)
    paper = clock() - start
    print(f"{paper:7.1f} s, {mib_above(before)} MiB: the paper's {len(net.space)} stitches initialized", flush=True)

    net = snnet.stitch(*anchors, space="search").eval()
    before, start = reset_peak_memory(), clock()
    for part in ("__init__", "run_singles", "run_extended", "run_on", "chosen"):
        timed(part, clock, before)
    report = snnet.search(net, images, cuts=options.cuts, max_images=options.images, progress=False)
    whole = clock() - start
    print(f"{whole:7.1f} s, {mib_above(before)} MiB (goal {GOALS['memory']}): {report!r}")
    singles = SECONDS["__init__"] + SECONDS["run_singles"]
    print(f"All single cuts fitted and scored: {singles / paper:.1f} times the initialization (goal {GOALS['ratio']})")
    print(f"The whole search: {whole / paper:.1f} times")


def mib_above(before: int) -> int:
    return (peak_memory() - before) // 2**20


def timed(part: str, clock: Callable[[], float], before: int) -> None:
    """Let a part of a search say how long it took."""
    run = getattr(Hunt, part)

    def run_timed(hunt: Hunt, *args: Any) -> Any:
        start = clock()
        result = run(hunt, *args)
        SECONDS[part] = clock() - start
        print(f"  {SECONDS[part]:7.1f} s, {mib_above(before)} MiB so far: {part}", flush=True)
        return result

    setattr(Hunt, part, run_timed)


if __name__ == "__main__":
    main()
