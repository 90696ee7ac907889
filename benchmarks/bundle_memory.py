"""Memory of a process with k stitches of DeiT-Ti/S/B at 224 open: weights shared, and each session with its own.

A bundle of the frontier of the published scores (or of all stitches) is written with random weights; every
measurement then runs in a process of its own that has neither torch nor snnet's network. The figure is the
proportional set size (PSS) after every session has run once, Python, numpy and onnxruntime included, against the size
of the file of weights. Last, what one session takes for each byte of its graph, which the engine reports as `nbytes`.
With `--processes`, the worker processes of a service instead, each with all stitches ready, after a batch of each.

    python benchmarks/bundle_memory.py --table published.jsonl
    python benchmarks/bundle_memory.py --every 4 --folder bundle --processes 4
    python benchmarks/bundle_memory.py --anchors deit_tiny_patch16_224 deit_small_patch16_224 --every 4 --separate 2
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

GOAL = 1.35
ANCHORS = [f"deit_{name}_patch16_224" for name in ("tiny", "small", "base")]


def pss(process: int | str = "self") -> int:
    """Return the proportional set size of a process in bytes (Linux)."""
    match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.M)
    assert match
    return int(match[1]) * 1024


def write(folder: Path, anchors: list[str], table: Path | None, every: int) -> None:
    import torch

    import snnet
    from snnet.export.bundle import write_bundle

    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = snnet.stitch(*anchors).eval()
    for parameter in net.parameters():
        # Fresh biases and norms are all alike, and would be stored as one.
        torch.nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.02)
    rows = snnet.pareto_frontier(snnet.StitchTable.load(table)) if table else net.space
    stitches = [getattr(row, "stitch", row) for row in rows][::every]
    start = time.perf_counter()
    bundle = write_bundle(net, folder, stitches)
    print(f"{len(bundle.table)} stitches written in {time.perf_counter() - start:.0f} s", flush=True)


def measure(folder: Path, count: int, shared: bool) -> dict[str, float]:
    """What each process does."""
    import numpy as np
    import onnxruntime as ort

    from snnet.export.bundle import Bundle

    bundle = Bundle.open(folder, verify=False)
    chosen = [bundle.stitches[n * len(bundle.stitches) // count] for n in range(count)]
    before = pss()
    if shared:
        sessions = [bundle.session(stitch) for stitch in chosen]
    else:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        sessions = [ort.InferenceSession(bundle.graph(stitch), options) for stitch in chosen]
    opened = pss()
    images = np.random.default_rng(0).standard_normal((1, *bundle.manifest.input.size), dtype=np.float32)
    for session in sessions:
        session.run(None, {"images": images})
    graphs = sum(bundle.graph(stitch).stat().st_size for stitch in chosen)
    return {"before": before, "opened": opened, "run": pss(), "graphs": graphs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anchors", nargs="+", default=ANCHORS)
    parser.add_argument("--table", type=Path, help="scores whose frontier is taken; all stitches without")
    parser.add_argument("--every", type=int, default=1, help="take every n-th of these stitches")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 8, 0], help="sessions; 0 for all")
    parser.add_argument("--separate", type=int, default=8, help="most sessions to open with weights of their own")
    parser.add_argument("--folder", type=Path, help="keep the bundle here, and use one that is here already")
    parser.add_argument("--processes", type=int, help="worker processes of a service")
    parser.add_argument("--batch", type=int, default=8, help="images that each of these runs at once")
    parser.add_argument("--single", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.single:
        print(json.dumps(measure(args.folder, int(args.single[0]), args.single[1] == "shared")))
        return
    with TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary) / "bundle"
        if not folder.exists():
            write(folder, args.anchors, args.table, args.every)
        if args.processes:
            serve(folder, args.processes, args.batch)
            return
        raise SystemExit(compare(folder, args.counts, args.separate))


def serve(folder: Path, count: int, batch: int) -> None:
    """Print what worker processes of a service hold together, from one of them to all."""
    import numpy as np

    from snnet.export.bundle import Bundle
    from snnet.serving.processes import ProcessWorker
    from snnet.serving.template import Template

    bundle = Bundle.open(folder, verify=False)
    weights, classes = bundle.weights.stat().st_size, bundle.manifest.num_classes
    images = np.random.default_rng(0).standard_normal((batch, *bundle.input.size), dtype=np.float32)
    stitches, workers = [str(stitch) for stitch in bundle.stitches], list[ProcessWorker]()
    print(f"weights {weights / 2**20:.0f} MiB, stitches {len(stitches)}, batches of {batch}")
    template = Template(folder, stitches)
    for _ in range(count):
        workers.append(ProcessWorker(template, (bundle.input.size, classes, batch)))
        for stitch in stitches:
            workers[-1].run(stitch, images)
        held = [pss(process) for process in (template.pid, *(worker.pid for worker in workers))]
        told = ", ".join(f"{one / 2**20:.0f}" for one in held)
        whole = sum(held)
        print(f"{len(workers)} workers and what they are copies of: {told} MiB", end="")
        print(f", {whole / 2**20:.0f} in all, {whole / weights:.2f} of the weights")
    for worker in workers:
        worker.close()


def compare(folder: Path, counts: list[int], separate: int) -> bool:
    """Print the table; return whether the goal was missed."""
    manifest = json.loads((folder / "manifest.json").read_text())
    size = manifest["files"][manifest["weights"]]["bytes"]
    total = len(manifest["stitches"])
    print(f"weights {size / 2**20:.0f} MiB, stitches {total}")
    ratio = 0.0
    for count in [n or total for n in counts]:
        for way in ("shared", "separate")[: 1 + (count <= separate)]:
            command = [sys.executable, __file__, "--folder", str(folder), "--single", str(count), way]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            mebibytes = {name: value / 2**20 for name, value in told.items()}
            print(
                f"{count:4} {way:8}: PSS {mebibytes['before']:5.0f} MiB before, {mebibytes['opened']:5.0f} opened, "
                f"{mebibytes['run']:5.0f} after running; {told['run'] / size:.2f} of the weights; opening took "
                f"{(told['opened'] - told['before']) / told['graphs']:.0f} bytes per byte of graph",
                flush=True,
            )
            if way == "shared" and count == total:
                ratio = told["run"] / size
    print(f"all stitches open: {ratio:.2f} of the weights (goal: at most {GOAL})")
    return ratio > GOAL


if __name__ == "__main__":
    main()
