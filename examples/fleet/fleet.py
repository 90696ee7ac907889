"""One bundle, three devices, three choices.

    snnet demo --output snnet-demo
    snnet export snnet-demo --stitches frontier --format onnx-bundle --output bundle
    python fleet.py bundle --latency-ms 18

The three devices are this machine with all its cores, with one of them, and with one that other work half fills.
A frame has 32 crops, and 95 of 100 frames are to be in time.
`device.py` runs once on each, as it would on devices of their own, and leaves a profile, from which alone the choice is
made: here for a range of latencies, drawn into a picture.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt

from snnet.errors import BudgetError
from snnet.table import StitchTable, pareto_frontier, select

HERE = Path(__file__).parent
CORES = sorted(os.sched_getaffinity(0))
BATCH, COLUMN = 32, "latency_ms_p95@32"


@dataclass(frozen=True)
class Device:
    """A device of the fleet: how many cores and threads it has, and whether other work shares them."""

    name: str
    cores: int
    busy: bool = False

    def profile(self, bundle: Path, latency_ms: float) -> StitchTable:
        """Run `device.py` under these conditions, and return the profile that it leaves."""
        output = bundle.parent / f"{self.name}.jsonl"
        own = {"OMP_NUM_THREADS": str(self.cores)}
        command = [sys.executable, HERE / "device.py", bundle, "--threads", str(self.cores), "--batch", str(BATCH)]
        with self._other_work():
            run = subprocess.run(
                [*map(str, command), "--latency-ms", str(latency_ms), "--output", str(output)],
                env={**os.environ, **own},
                preexec_fn=lambda: os.sched_setaffinity(0, CORES[: self.cores]),
                text=True,
                capture_output=True,
                check=False,
            )
        if run.returncode:
            sys.exit(run.stderr)
        print(f"{self.name:8} {run.stdout.strip()}")
        return StitchTable.load(output)

    @contextmanager
    def _other_work(self) -> Iterator[None]:
        if not self.busy:
            yield
            return
        burning = subprocess.Popen(
            [sys.executable, "-c", "while True: pass"],
            preexec_fn=lambda: os.sched_setaffinity(0, CORES[:1]),
        )
        try:
            yield
        finally:
            burning.kill()
            burning.wait()


FLEET = (Device("server", len(CORES)), Device("laptop", 1), Device("camera", 1, busy=True))


def draw(profiles: dict[str, StitchTable], latency_ms: float, picture: Path) -> None:
    """Draw what every device offers within a latency, and what it chooses."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for name, table in profiles.items():
        front = pareto_frontier(table, COLUMN)
        x, y = front.column(COLUMN), front.column("top1")
        (line,) = axes.step(x, y, where="post", marker=".", linewidth=1.2, label=name)
        try:
            best = table[select(table, any_machine=True, **{COLUMN: latency_ms})]
        except BudgetError:
            continue
        axes.plot(best.values[COLUMN], best.top1, "*", color=line.get_color(), markersize=15)
        axes.annotate(
            best.stitch, (best.values[COLUMN], best.top1), xytext=(6, -13), textcoords="offset points", fontsize=8
        )
    axes.axvline(latency_ms, color="0.6", linestyle="--", linewidth=1)
    axes.set(
        xlabel="ms for 32 images, in 95 of 100 calls",
        ylabel="top-1 %",
        title="One bundle, three devices",
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=144)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--latency-ms", type=float, default=18.0)
    parser.add_argument("--picture", type=Path, default=Path("fleet.png"))
    args = parser.parse_args()
    profiles = {device.name: device.profile(args.bundle, args.latency_ms) for device in FLEET}
    draw(profiles, args.latency_ms, args.picture)
    print(f"Drawn in {args.picture}; profiles beside {args.bundle}")


if __name__ == "__main__":
    main()
