"""A video-like loop that keeps its frame rate while another process loads the machine.

    snnet demo --output runs/demo
    python examples/video_loop.py runs/demo --picture video_loop.png

Every frame is a batch of crops that must be classified before the next frame comes. The loop runs twice on the same
timetable: with the best stitch fixed, and with a governor that follows the deadline. In the middle third other
processes keep all cores busy.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

import snnet
from snnet.profiling import MeasureSettings
from snnet.runtime import Answer, Deadline, Governor, Runtime

CROPS = 16
Frame = dict[str, float]


def measured(net: snnet.SNNet, crops: int) -> None:
    """Add to the network's table how long the stitches on the frontier take for a frame, on this machine now."""
    snnet.profile(net, stitches="frontier", settings=MeasureSettings(batch_sizes=(crops,), repeats=15))


def start_load(processes: int) -> list[subprocess.Popen[bytes]]:
    """Keep some cores busy."""
    return [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]


def play(
    answer: Callable[[torch.Tensor], Answer],
    frames: torch.Tensor,
    *,
    seconds: float,
    interval: float,
    deadline: Callable[[], float],
    load: int,
) -> list[Frame]:
    """Show frames at a fixed rate; return for each when it came, what it took, and who answered."""
    shown: list[Frame] = []
    others: list[subprocess.Popen[bytes]] = []
    begin = time.perf_counter()
    try:
        while (now := time.perf_counter() - begin) < seconds:
            if not others and seconds / 3 < now < 2 * seconds / 3:
                others = start_load(load)
            if others and now > 2 * seconds / 3:
                stop_load(others)
                others = []
            budget, start = deadline(), time.perf_counter()
            found = answer(frames[len(shown) % len(frames)])
            found.logits.sum().item()  # waits for accelerators, which run behind
            took = time.perf_counter() - start
            shown.append({"at": now, "budget": budget, "ms": 1e3 * took, "stitch": found.stitch})  # type: ignore[dict-item]
            time.sleep(max(interval - took, 0.0))
    finally:
        stop_load(others)
    return shown


def stop_load(processes: list[subprocess.Popen[bytes]]) -> None:
    """End the processes that keep cores busy."""
    for process in processes:
        process.kill()
        process.wait()


def report(name: str, shown: list[Frame], milliseconds: float, top1: Callable[[object], float]) -> float:
    """Print how many frames were late and how good the answers were; return the share of late ones."""
    late = mean(frame["ms"] > milliseconds for frame in shown)
    score = mean(top1(frame["stitch"]) for frame in shown)
    print(f"{name:22} {len(shown):5} frames, {late:6.1%} late, mean top-1 of the stitches {score:.1f} %")
    return late


def draw(
    fixed: list[Frame], governed: list[Frame], seconds: float, milliseconds: float, top1: Callable[[object], float]
) -> Figure:
    """Draw budget, chosen stitch and latency over time."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, height_ratios=(3, 2), layout="constrained")
    for axes in (above, below):
        axes.axvspan(seconds / 3, 2 * seconds / 3, color="0.92", zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
    for shown, color, label in ((fixed, "tab:red", "best stitch, fixed"), (governed, "tab:blue", "governor")):
        at, took = [f["at"] for f in shown], [f["ms"] for f in shown]
        above.plot(at, took, ".", color=color, markersize=3, label=f"time of a frame, {label}")
        below.step(at, [top1(f["stitch"]) for f in shown], where="post", color=color, label=label)
    above.step([f["at"] for f in governed], [f["budget"] for f in governed], "k-", where="post", lw=0.8, label="budget")
    above.axhline(milliseconds, color="k", ls="--", lw=0.8, label="deadline")
    above.set_ylim(0, 4 * milliseconds)
    above.set_ylabel("ms")
    above.set_title("Other processes load all cores in the grey third")
    below.set_ylabel("top-1 of the stitch, %")
    below.set_xlabel("s")
    above.legend(frameon=False, fontsize=8, ncols=2)
    below.legend(frameon=False, fontsize=8)
    return figure


def main() -> None:
    """Play both ways, report, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help="a trained network with scores, such as what `snnet demo` writes")
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--deadline-ms", type=float, help="twice what the best stitch takes if not given")
    parser.add_argument("--load", type=int, default=2 * (os.cpu_count() or 1), help="processes in the middle third")
    parser.add_argument("--picture", type=Path, default=Path("video_loop.png"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = snnet.load(args.network)
    measured(net, CROPS)
    top1 = {row.route: row.top1 for row in net.table}.__getitem__
    frames = torch.randn(8, CROPS, *net.input.size, generator=torch.Generator().manual_seed(0))
    with Runtime(net, batch_sizes=(CROPS,)) as runtime:
        runtime.wait_ready()
        best = runtime.choose(CROPS)
        milliseconds = args.deadline_ms or 2.0 * net.table[best].values[f"latency_ms@{CROPS}"]
        rate = {"seconds": args.seconds, "interval": milliseconds / 1e3, "load": args.load}
        print(f"deadline {milliseconds:.1f} ms, {len(runtime.stitches)} stitches, load of {args.load} processes")
        fixed = play(lambda x: runtime.run(x, stitch=best), frames, deadline=lambda: milliseconds, **rate)
        deadline = Deadline(0.8 * milliseconds)
        governor = Governor(runtime, deadline, dwell=0.5)
        governed = play(governor.run, frames, deadline=deadline, **rate)
    report("best stitch, fixed", fixed, milliseconds, top1)
    report("governor", governed, milliseconds, top1)
    draw(fixed, governed, args.seconds, milliseconds, top1).savefig(args.picture, dpi=120)
    print(f"picture in {args.picture}")


if __name__ == "__main__":
    main()
