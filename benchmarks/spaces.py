"""The spaces that benchmarks measure, and how they are profiled, for the benchmarks."""

import argparse
from typing import Any

from snnet.anchors import EMBEDDED_FAMILIES
from snnet.network import SNNet
from snnet.profiling import MeasureSettings, profile
from snnet.table import StitchTable

FAMILIES = {
    "deit": ("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224"),
    **EMBEDDED_FAMILIES,
}


def profile_arguments(about: str | None, *, repeats: int) -> argparse.ArgumentParser:
    """Return the arguments that say which spaces are profiled, and under what."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--engine", default="eager")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    return parser


def announce(args: argparse.Namespace) -> None:
    """Say under what everything is measured."""
    print(f"{args.engine} on {args.device}, batch {args.batch}, {args.repeats} rounds")


def profiled(net: SNNet, args: argparse.Namespace, **settings: Any) -> StitchTable:
    """Return the latencies of a space, measured as the arguments say."""
    return profile(
        net,
        stitches="all",
        settings=MeasureSettings((args.batch,), repeats=args.repeats, energy=False, **settings),
        engine=args.engine,
        device=args.device,
        threads=args.threads,
    )
