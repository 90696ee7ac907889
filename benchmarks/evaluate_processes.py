"""Evaluating the whole space of the embedded ViTs in two processes against one, each process on a core of its own.

Started without a launcher: it starts both sides with `torchrun`, in turn. Every process has one thread and stays on its
core. The time is that of `evaluate` alone, from the moment at which all processes are ready until the last has the
table; the ratio is that of the medians. The same is said of the CPU time of the busiest process, which other programs
on the machine disturb less.

    python benchmarks/evaluate_processes.py
    python benchmarks/evaluate_processes.py --images 2000 --repeats 5
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from statistics import median

import torch

from snnet.data import eval_batches, open_dataset
from snnet.evaluation import evaluate
from snnet.network import stitch
from snnet.utils import distributed as processes

ANCHORS = ("vit_fm_tiny", "vit_fm_small", "vit_fm_base")


def measure(images: int, batch_size: int, cores: list[int]) -> None:
    """What each process does: print seconds, and the mean of the scores to compare the sides by."""
    rank = int(os.environ["RANK"])
    os.sched_setaffinity(0, {cores[rank]})
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = stitch(*ANCHORS).eval()
    data = open_dataset("embedded", None, "validation", input=net.input)
    chosen = type(data)(data.images[:images], data.labels[:images], data.classes)  # type: ignore[union-attr,call-arg]
    with processes.joined("cpu") as share:
        evaluate(net, eval_batches(chosen, batch_size), stitches=[0, 1], device="cpu")  # warms up
        net.forget_scores()
        processes.wait()
        begin, begin_cpu = time.perf_counter(), time.process_time()
        table = evaluate(net, eval_batches(chosen, batch_size), device="cpu")
        busy = max(processes.gather(time.process_time() - begin_cpu))
        seconds = time.perf_counter() - begin
        if share.is_first:
            print(seconds, len(table), sum(row.loss for row in table) / len(table), busy, flush=True)


def launch(count: int, arguments: list[str]) -> list[float]:
    """Run one side; return what it printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "--master-addr"]
    command += ["127.0.0.1", "--master-port", str(port), __file__, "--worker", *arguments]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **ONE_THREAD})
    return [float(word) for word in told.stdout.split()]


ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, nargs=2, default=sorted(os.sched_getaffinity(0))[:2])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        measure(args.images, args.batch_size, args.cores)
        return
    passed = ["--images", str(args.images), "--batch-size", str(args.batch_size), "--cores", *map(str, args.cores)]
    found: dict[int, list[list[float]]] = {1: [], 2: []}
    for _ in range(args.repeats):
        for count, rows in found.items():
            rows.append(launch(count, passed))
            print(f"{count} process{'es' * (count > 1)}: {rows[-1][0]:.2f} s, CPU {rows[-1][3]:.2f} s", flush=True)
    difference = abs(found[1][0][2] - found[2][0][2])
    print(f"{int(found[1][0][1])} stitches, {args.images} images; difference of the mean loss: {difference:.1e}")
    for name, column in (("seconds", 0), ("CPU seconds of the busiest process", 3)):
        one, two = (median(row[column] for row in rows) for rows in found.values())
        print(f"{name}: one process {one:.2f}, two {two:.2f}; ratio {one / two:.2f} (goal 1.6)")


if __name__ == "__main__":
    main()
