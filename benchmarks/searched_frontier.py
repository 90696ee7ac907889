"""How high the frontier of a search lies over that of the anchors alone, without any training, measured fairly.

Layers are fitted and routes scored on training images; all test images then say, chosen on one half and reported on
the other, what a user gains over keeping the anchors. Seeds decide which training images are taken.

    python benchmarks/searched_frontier.py
    python benchmarks/searched_frontier.py --families vit --one --seeds 0
"""

import argparse
from statistics import fmean, stdev

import torch

from snnet.anchors import EMBEDDED_FAMILIES
from snnet.data import labelled_images, open_dataset
from snnet.evaluation import evaluate
from snnet.network import SNNet, stitch
from snnet.profiling import count_costs
from snnet.searching import search
from snnet.table import Height, frontier_gain, frontier_height


def searched(family: str, one: bool, seed: int, images: int, budgets: int, cuts: int, labels: bool) -> SNNet:
    """Return the network of a family, or of its largest anchor alone, after a search; print what the search took."""
    names = EMBEDDED_FAMILIES[family][-1:] if one else EMBEDDED_FAMILIES[family]
    net = stitch(*names, pretrained=True, space="search").eval()
    data = open_dataset("embedded", split="train", input=net.input)
    chosen = labelled_images(data, images, seed)
    report = search(net, [chosen] if labels else chosen[0], budgets=budgets, cuts=cuts, max_images=images, seed=seed)
    print(f"  seed {seed}: {report!r}", flush=True)
    return net


def one_alone(net: SNNet) -> str:
    """Return how the routes of one model lie: those on the frontier between 50 and 95 % of its MACs, and at 75 %."""
    table = net.table
    assert table is not None
    whole = table[0]
    best, kept = -1.0, []
    for row in sorted(table, key=lambda row: row.macs):
        if row.top1 > best:
            best, kept = row.top1, [*kept, row]
    inside = [row for row in kept if 0.5 <= row.macs / whole.macs <= 0.95]
    near = min(kept, key=lambda row: abs(row.macs / whole.macs - 0.75))
    return (
        f"{len(inside)} routes on the frontier between 50 and 95 % of the MACs; at {near.macs / whole.macs:.0%} "
        f"{near.top1:.2f} % where the whole has {whole.top1:.2f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", nargs="+", default=list(EMBEDDED_FAMILIES))
    parser.add_argument("--one", action="store_true", help="the largest anchor of each family alone")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--budgets", type=int, default=24)
    parser.add_argument("--cuts", type=int, default=3)
    parser.add_argument("--labels", action="store_true", help="let the search see labels")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for family in options.families:
        print(family, flush=True)
        gains, heights = [], list[Height]()
        for seed in options.seeds:
            net = searched(family, options.one, seed, options.images, options.budgets, options.cuts, options.labels)
            count_costs(net)
            evaluate(net, open_dataset("embedded", split="validation", input=net.input), batch_size=250)
            assert net.table is not None
            if options.one:
                print(f"  seed {seed}: {one_alone(net)}", flush=True)
                whole = net.table[0].macs
                heights.append(frontier_height(net.table, between=(whole / 2, whole)))
                print(f"  seed {seed}: height {heights[-1].percent:.2f}", flush=True)
            else:
                gain = frontier_gain(net.table)
                gains.append(gain.points)
                print(f"  seed {seed}: {gain}", flush=True)
        if len(gains) > 1:
            print(f"  gain {fmean(gains):+.2f}, spread {stdev(gains):.2f} over {len(gains)} seeds", flush=True)


if __name__ == "__main__":
    main()
