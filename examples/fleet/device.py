"""What runs on a device: measure a bundle's stitches there, and take the best within a latency.

    python device.py BUNDLE --threads 1 --latency-ms 4 --output camera.jsonl

Needs onnxruntime; neither the network nor PyTorch is loaded.
"""

import argparse
import random
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from snnet.bundle import Bundle
from snnet.errors import BudgetError
from snnet.machine import Machine
from snnet.selection import select
from snnet.table import StitchTable


def measure(bundle: Bundle, threads: int, rounds: int = 30, warmup: int = 5) -> StitchTable:
    """Return the bundle's table with the median latency of every stitch here, in milliseconds at batch 1."""
    images = {"images": np.zeros((1, *bundle.manifest.input["size"]), "float32")}
    sessions = {stitch.id: bundle.session(stitch, threads=threads) for stitch in bundle.stitches}
    times: dict[str, list[float]] = {stitch: [] for stitch in sessions}
    for number in range(warmup + rounds):
        # All in every round, in a new order: a machine that slows down touches all alike.
        for stitch in random.sample(list(sessions), len(sessions)):
            start = perf_counter()
            sessions[stitch].run(None, images)
            times[stitch] += [1e3 * (perf_counter() - start)] if number >= warmup else []
    facts = {
        "machine": Machine.here().on().to_dict(),
        "engine": "onnxruntime",
        "device": "cpu",
        "dtype": "float32",
        "network_dtype": "float32",
        "threads": threads,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    table = bundle.table.with_column("latency_ms", {stitch: median(found) for stitch, found in times.items()})
    return StitchTable(table, {**table.meta, "profile": facts})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--latency-ms", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True, help="the device's profile")
    args = parser.parse_args()
    table = measure(Bundle.open(args.bundle), args.threads)
    table.save(args.output)
    try:
        best = select(table, latency_ms=args.latency_ms)
    except BudgetError as error:
        print(error)
        return
    print(f"{best.stitch}: top-1 {best.top1:.2f} %, {best.values['latency_ms']:.2f} ms, {best.macs / 1e6:.1f} MMACs")


if __name__ == "__main__":
    main()
