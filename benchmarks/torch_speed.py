"""What each way to run a stitch with PyTorch brings, against the plain network in the same run.

    python benchmarks/torch_speed.py
    python benchmarks/torch_speed.py --families resnet18,resnet50 --batch 1 8 --rounds 20

The last anchor of a network runs in each of these ways, by turns, on the same images: unfused attention, the plain
network under `no_grad`, the same under `inference_mode`, bound steps, with linear layers through oneDNN, with channels
last, with both (which is the engine `eager`), and the engine `compile`. The ratio is the median over the rounds.
"""

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter

import torch
from timing import by_turns, ratio
from torch import Tensor

from snnet.network import SNNet, stitch
from snnet.runtime.engines import CompileEngine, Conditions, EagerEngine
from snnet.runtime.engines.eager import serving_replica, use_channels_last, use_onednn

DEFAULT = (
    "deit_tiny_patch16_224,deit_small_patch16_224",
    "swin_tiny_patch4_window7_224,swin_small_patch4_window7_224",
    "resnet18,resnet50",
)


def bound(net: SNNet, route: int, *changes: Callable[[SNNet], None]) -> Callable[[Tensor], Tensor]:
    replica = serving_replica(net, Conditions.of(net))
    for change in changes:
        change(replica)
    return torch.inference_mode()(replica.at(route))


def unfuse(net: SNNet) -> None:
    for module in net.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False  # type: ignore[assignment]


def ways_of(net: SNNet, route: int, batch: int, *, compiled: bool) -> dict[str, Callable[[Tensor], Tensor]]:
    ways = {
        "plain network, no_grad": torch.no_grad()(lambda images: net(images, route)),
        "plain network, inference_mode": torch.inference_mode()(lambda images: net(images, route)),
        "bound steps, attention unfused": bound(net, route, unfuse),
        "bound steps": bound(net, route),
        "bound steps, oneDNN": bound(net, route, use_onednn),
        "bound steps, channels last": bound(net, route, use_channels_last),
        "engine eager": EagerEngine(net).load(route),
    }
    if compiled:
        start = perf_counter()
        ways["engine compile"] = CompileEngine(net, batch_sizes=(batch,)).load(route)
        print(f"compiled in {perf_counter() - start:.1f} s")
    return ways


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=DEFAULT, help="timm names, those of one network by comma")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for family in args.families:
        net = stitch(*family.split(",")).eval()
        route = len(net.anchors) - 1
        for batch in args.batch:
            print(f"\n{net.anchor(route).name}, batch {batch}, {args.threads} threads")
            images = torch.randn(batch, *net.input.size)
            ways = ways_of(net, route, batch, compiled=not args.no_compile)
            first = next(iter(ways))
            expected = ways[first](images)
            for way in ways.values():
                torch.testing.assert_close(way(images), expected, rtol=1e-3, atol=1e-3)
            times = by_turns({name: partial(way, images) for name, way in ways.items()}, rounds=args.rounds)
            for name, found in times.items():
                print(f"  {name:32} {median(found):9.2f} ms   {ratio(times, first, name):5.2f} x", flush=True)


if __name__ == "__main__":
    main()
