"""Memory of least-squares initialization does not grow with the images: peak above the weights at 100 and 1,000.

Each count runs in a process of its own on DeiT-Ti and DeiT-S (random weights) with random images of 112 pixels that
come one batch at a time, so that the images themselves are not held.

    python benchmarks/least_squares_memory.py
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator

import torch
from memory import peak_memory, reset_peak_memory
from torch import Tensor

import snnet
from snnet.init import initialize

SIZE = 112
GOAL = 1.1


def batches(count: int, size: int = 20) -> Iterator[Tensor]:
    for start in range(0, count, size):
        yield torch.randn(min(size, count - start), 3, SIZE, SIZE)


def run(count: int) -> float:
    """Return the extra peak memory in MiB."""
    torch.manual_seed(0)
    models = [snnet.AnchorSource.of(f"deit_{name}_patch16_224", img_size=SIZE) for name in ("tiny", "small")]
    net = snnet.stitch(*models).eval()
    net.anchor(0)(torch.randn(1, 3, SIZE, SIZE))
    before = reset_peak_memory()
    initialize(net, batches(count))
    return (peak_memory() - before) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--single", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.single:
        print(run(args.images[0]))
        return
    peaks = []
    for count in args.images:
        command = [sys.executable, __file__, "--single", "--images", str(count)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks.append(float(output))
        print(f"{count:6} images: {peaks[-1]:7.1f} MiB above the weights")
    print(f"ratio {peaks[-1] / peaks[0]:.3f} (goal: at most {GOAL})")
    raise SystemExit(peaks[-1] > GOAL * peaks[0])


if __name__ == "__main__":
    main()
