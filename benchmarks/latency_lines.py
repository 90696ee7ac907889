"""Do stitches run at the speed that their multiply-adds promise? Latency against the line of the anchors over MACs.

    python benchmarks/latency_lines.py
    python benchmarks/latency_lines.py --families vit --batch 8 --engine onnxruntime --output lines

For each stitch the straight lines that join its anchors' latencies, over multiply-adds, say what it should take;
printed is what it takes more or less, in percent. All are measured in the same rounds. Weights are random,
DeiT-Ti/S/B at 224 pixels.
"""

import argparse
from pathlib import Path
from statistics import fmean, median

import torch

from snnet.anchors.embedded import EMBEDDED_FAMILIES
from snnet.assemble import stitch
from snnet.profiling import profile
from snnet.selection import at_batch, line_between_anchors
from snnet.table import StitchTable

FAMILIES = {
    "deit": ("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224"),
    **EMBEDDED_FAMILIES,
}


def excess(table: StitchTable, column: str) -> dict[str, float]:
    """Return, for each stitch of several anchors, its latency over that on the line of its own anchors, less one."""
    return {
        row.stitch: row.values[column] / line_between_anchors(table, row, "macs", column) - 1 for row in table.stitched
    }


def show(name: str, table: StitchTable, batch: int) -> None:
    column = at_batch("latency_ms", batch)
    found = excess(table, column)
    anchors = ", ".join(f"{row.macs / 1e9:.3g} GMACs {row.values[column]:.2f} ms" for row in table.anchors)
    low, high = (at_batch(f"latency_ms_{end}", batch) for end in ("low", "high"))
    half = median((row.values[high] - row.values[low]) / 2 / row.values[column] for row in table)
    slowest = max(found, key=lambda stitch: found[stitch])
    print(f"{name}: anchors {anchors}")
    print(
        f"  {len(found)} stitches over the line by {100 * fmean(found.values()):+.1f} % on average, between "
        f"{100 * min(found.values()):+.1f} and {100 * max(found.values()):+.1f} % ({slowest}); "
        f"half a confidence interval is {100 * half:.1f} %",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--engine", default="eager")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, help="directory for the profiles")
    args = parser.parse_args()
    print(f"{args.engine} on {args.device}, batch {args.batch}, {args.repeats} rounds")
    for name in args.families:
        torch.manual_seed(0)
        table = profile(
            stitch(*FAMILIES[name]).eval(),
            latency=True,
            batch_sizes=(args.batch,),
            engine=args.engine,
            device=args.device,
            threads=args.threads,
            repeats=args.repeats,
            energy=False,
        )
        show(name, table, args.batch)
        if args.output is not None:
            table.save(args.output / f"{name}.jsonl")


if __name__ == "__main__":
    main()
