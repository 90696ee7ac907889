"""Claim: the costs of all 71 stitches of DeiT-Ti/S/B take under 3 seconds, and far less than counting each forward.

    python benchmarks/cost_table.py

Both sides run in one process, by turns. The alternative counts every stitch's whole forward pass with torch's
`FlopCounterMode` on the meta device, and its parameters by listing them.
"""

import argparse
from copy import deepcopy
from statistics import median
from time import perf_counter

import torch
from torch.utils.flop_counter import FlopCounterMode

from snnet.network import SNNet, stitch
from snnet.profiling import count_costs

ANCHORS = ("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224")


def count_every_forward(net: SNNet) -> dict[str, tuple[int, int]]:
    """Count MACs (without normalization) and parameters of one stitch after another."""
    images = torch.empty(1, *net.input.size, device="meta")
    found = {}
    for route in net.space:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            net(images, route)
        found[route.id] = counter.get_total_flops() // 2, sum(p.numel() for p in net.parameters_of(route))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with torch.device("meta"):
        on_meta = stitch(*ANCHORS).eval()
    net = deepcopy(on_meta).to_empty(device="cpu")
    folds, counts = [], []
    for _ in range(rounds):
        start = perf_counter()
        table = count_costs(net)
        folds.append(perf_counter() - start)
        start = perf_counter()
        found = count_every_forward(on_meta)
        counts.append(perf_counter() - start)
    assert all(found[row.stitch][1] == row.params for row in table)
    assert all(0 <= row.macs / found[row.stitch][0] - 1 < 0.01 for row in table)
    print(f"count_costs, {len(table)} stitches:          {median(folds):6.2f} s (first round {folds[0]:.2f} s)")
    print(f"one whole forward counted each: {median(counts):6.2f} s (first round {counts[0]:.2f} s)")
    print(f"ratio (median over rounds):     {median(c / f for c, f in zip(counts, folds, strict=True)):6.1f}")


if __name__ == "__main__":
    main()
