"""Do stitches run at the speed that their multiply-adds promise? Latency against the line of the anchors over MACs.

    python benchmarks/latency_lines.py
    python benchmarks/latency_lines.py --families vit --batch 8 --engine onnxruntime --output lines

For each stitch the straight lines that join its anchors' latencies, over multiply-adds, say what it should take;
printed is what it takes more or less, in percent. All are measured in the same rounds. Weights are random,
DeiT-Ti/S/B at 224 pixels.
"""

from pathlib import Path
from statistics import fmean, median

import torch
from spaces import FAMILIES, announce, profile_arguments, profiled

from snnet.network import stitch
from snnet.table import StitchTable, at_batch, line_between_anchors


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
    parser = profile_arguments(__doc__, repeats=30)
    parser.add_argument("--output", type=Path, help="directory for the profiles")
    args = parser.parse_args()
    announce(args)
    for name in args.families:
        torch.manual_seed(0)
        table = profiled(stitch(*FAMILIES[name]).eval(), args)
        show(name, table, args.batch)
        if args.output is not None:
            table.save(args.output / f"{name}.jsonl")


if __name__ == "__main__":
    main()
