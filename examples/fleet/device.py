"""What runs on a device: measure a bundle's stitches there, and take the best that is nearly always in time.

    python device.py BUNDLE --threads 1 --batch 32 --latency-ms 18 --output camera.jsonl

Needs onnxruntime; neither the network nor PyTorch is loaded.
"""

import argparse
import random
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import numpy as np

from snnet.errors import BudgetError
from snnet.export.bundle import Bundle
from snnet.table import StitchTable, at_batch, select, without_profile
from snnet.utils import Machine


def measure(bundle: Bundle, threads: int, batch: int, rounds: int = 60, warmup: int = 5) -> StitchTable:
    """Return the bundle's table with the latency of every stitch here: median and 95th percentile, in milliseconds."""
    images = {"images": np.zeros((batch, *bundle.manifest.input.size), "float32")}
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
        "precision": "fp32",
        "network_precision": "fp32",
        "threads": threads,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    middle = {stitch: median(found) for stitch, found in times.items()}
    slow = {stitch: quantiles(found, n=20)[-1] for stitch, found in times.items()}
    # What the exporting machine measured is not this one's.
    table = without_profile(bundle.table).with_column(at_batch("latency_ms", batch), middle)
    table = table.with_column(at_batch("latency_ms_p95", batch), slow)
    return StitchTable(table, {**table.meta, "profile": facts})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8, help="images per call, such as the crops of one frame")
    parser.add_argument("--latency-ms", type=float, required=True, help="for 95 of 100 calls")
    parser.add_argument("--output", type=Path, required=True, help="the device's profile")
    args = parser.parse_args()
    table = measure(Bundle.open(args.bundle), args.threads, args.batch)
    table.save(args.output)
    try:
        best = table[select(table, latency_ms_p95=args.latency_ms, batch=args.batch)]
    except BudgetError as error:
        print(error)
        return
    took = best.values[at_batch("latency_ms_p95", args.batch)]
    print(f"{best.stitch}: top-1 {best.top1:.2f} %, {took:.1f} ms in 95 of 100 calls, {best.macs / 1e6:.1f} MMACs")


if __name__ == "__main__":
    main()
