"""Claim: an anchor inside a stitchable network takes at most 2 % longer than the plain timm model.

    python benchmarks/anchor_overhead.py
    python benchmarks/anchor_overhead.py --families deit --rounds 30 --batch 1

Every anchor of DeiT-Ti/S/B (random weights, 224 pixels) and of the embedded families runs as `net(x, stitch)` and as
its own timm model, on the same weights, by turns in one run. The overhead is what the fastest quarter of the rounds
says (the mean of each side's): what else the machine does only ever adds. The median over all rounds is shown too.
"""

import argparse
from collections.abc import Iterable
from statistics import fmean

import torch
from spaces import FAMILIES
from timing import by_turns, ratio

from snnet.network import SNNet, stitch


def fastest_quarter(times: Iterable[float]) -> float:
    ordered = sorted(times)
    return fmean(ordered[: max(len(ordered) // 4, 1)])


def measure(net: SNNet, anchor: int, batch: int, rounds: int) -> tuple[str, float]:
    """Return a line of the report, and the overhead as a share."""
    images, model, route = torch.randn(batch, *net.input.size), net.anchor(anchor).model, net.space[anchor]
    assert route.is_anchor and torch.equal(net(images, route), model(images))
    times = by_turns({"net": lambda: net(images, route), "timm": lambda: model(images)}, rounds=rounds, warmup=5)
    quick = {name: fastest_quarter(found) for name, found in times.items()}
    over = quick["net"] / quick["timm"] - 1
    line = f"{net.anchor(anchor).name:28} {quick['timm']:9.3f} {quick['net']:9.3f} {over:+9.2%}"
    return f"{line} {ratio(times, 'net', 'timm') - 1:+9.2%}", over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=400, help="of small models; DeiT gets a tenth")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"{'anchor':28} {'timm ms':>9} {'net ms':>9} {'overhead':>9} {'median':>9}   batch {args.batch}")
    worst = 0.0
    for family in args.families:
        net = stitch(*FAMILIES[family]).eval()
        rounds = max(args.rounds // 10, 5) if family == "deit" else args.rounds
        with torch.inference_mode():
            for anchor in range(len(net.anchors)):
                line, over = measure(net, anchor, args.batch, rounds)
                worst = max(worst, over)
                print(line, flush=True)
    print(f"largest overhead: {worst:+.2%} (goal: at most 2 %)")


if __name__ == "__main__":
    main()
