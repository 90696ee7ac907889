"""Evaluating all stitches with shared prefixes against a plain loop over `net(x, stitch)`, in one run.

The two sides alternate, and the ratio is that of their medians. The counted ratio is that of the multiply-adds
that either side runs: what sharing can give at most where nothing but arithmetic takes time.

    python benchmarks/evaluate_prefix.py
    python benchmarks/evaluate_prefix.py --models deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224 \
        --images 2 --batch-size 2 --repeats 1
"""

import argparse
import time
from statistics import median

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from snnet.anchors import AnchorLike, AnchorSource
from snnet.evaluation import evaluate, plan_groups
from snnet.network import SNNet, run_tree, stitch
from snnet.profiling import step_macs

SMALL = {"img_size": 28, "patch_size": 7, "in_chans": 1, "num_classes": 10, "depth": 12}
WIDTHS = {48: 3, 96: 6, 192: 12}  # width -> heads


def small_family() -> list[AnchorLike]:
    """Three ViTs of 12 blocks whose widths stand to each other as those of DeiT-Ti/S/B."""
    return [AnchorSource.of("vit_tiny_patch16_224", embed_dim=w, num_heads=h, **SMALL) for w, h in WIDTHS.items()]


def plain_loop(net: SNNet, images: Tensor, labels: Tensor, batch_size: int) -> list[dict[str, float]]:
    """What evaluation computes, without sharing anything."""
    rows = []
    for route in net.space:
        top1 = top5 = loss = 0.0
        for x, y in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            with torch.inference_mode():
                logits = net(x, route)
                hits = logits.topk(5, dim=1).indices == y[:, None]
                top1, top5 = top1 + hits[:, 0].sum().item(), top5 + hits.sum().item()
                loss += cross_entropy(logits, y, reduction="sum").item()
        n = len(labels)
        rows.append({"top1": 100 * top1 / n, "top5": 100 * top5 / n, "loss": loss / n})
    return rows


def largest_difference(net: SNNet, images: Tensor) -> float:
    """Largest difference between the logits of the two sides, relative to the largest logit of the stitch."""
    (tree,) = plan_groups({route: net.steps(route) for route in net.space}, lambda _: 1.0, max_groups=1, max_rerun=0)
    worst = 0.0
    with torch.inference_mode():
        for name, logits in run_tree(net, tree, images):
            plain = net(images, name)
            worst = max(worst, float((logits - plain).abs().max() / plain.abs().max()))
    return worst


def counted(net: SNNet, max_groups: int) -> tuple[float, float, int]:
    """Multiply-adds of the plain loop and of the groups (per image), and how many groups there are."""
    macs = step_macs(net)
    routes = {route: net.steps(route) for route in net.space}

    def parameters(step):  # type: ignore[no-untyped-def]
        return 1.0 + sum(p.numel() for p in net.step_parameters(step))

    groups = plan_groups(routes, parameters, max_groups=max_groups)
    plain = sum(macs[step] for steps in routes.values() for step in steps)
    return plain, sum(group.weight(lambda step: macs[step]) for group in groups), len(groups)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", help="timm names; by default three small ViTs of 28x28 pixels")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--max-groups", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)

    torch.manual_seed(0)
    net = stitch(*(args.models or small_family())).eval().to(args.device)
    images = torch.randn(args.images, *net.input.size, device=args.device)
    labels = torch.randint(net.num_classes, (args.images,), device=args.device)
    options = {"batch_size": args.batch_size, "max_groups": args.max_groups}
    print(f"{len(net.space)} stitches, {args.images} images, batch {args.batch_size}, {args.device}")
    print(f"largest relative difference of logits: {largest_difference(net, images[: args.batch_size]):.1e}")

    times: dict[str, list[float]] = {"plain": [], "shared": []}
    for repeat in range(args.repeats + 1):
        for side in times:
            begin = time.perf_counter()
            if side == "plain":
                rows = plain_loop(net, images, labels, args.batch_size)
            else:
                table = evaluate(net, (images, labels), **options)
            if repeat:  # the first round warms up
                times[side].append(time.perf_counter() - begin)
    losses = max(abs(row.loss - plain["loss"]) / plain["loss"] for row, plain in zip(table, rows, strict=True))
    print(f"largest relative difference of losses: {losses:.1e}")

    plain, shared = median(times["plain"]), median(times["shared"])
    plain_macs, shared_macs, groups = counted(net, args.max_groups)
    whole_macs = counted(net, 1)[1]
    print(f"seconds: plain loop {plain:.2f}, shared prefixes {shared:.2f} in {groups} groups")
    print(f"measured ratio: {plain / shared:.2f}")
    print(f"counted ratio: {plain_macs / shared_macs:.3f} ({plain_macs / 1e9:.2f} to {shared_macs / 1e9:.2f} GMACs)")
    print(f"counted ratio if all were one group: {plain_macs / whole_macs:.3f}")


if __name__ == "__main__":
    main()
