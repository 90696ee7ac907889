"""Claim: changing over to another ready stitch takes less than 50 microseconds.

    python benchmarks/switching.py

Every call of a `Runtime` gets another budget than the one before, so that every call switches. Measured are choosing
alone (`runtime.choose`), and what a whole call takes besides running the stitch: choice, keeping it alive, counting,
a listener. The second is found with an engine whose stitches do nothing.
"""

import argparse
import random
from statistics import median, quantiles
from time import perf_counter_ns

import torch
from torch import Tensor

from snnet.network import StitchLike, stitch
from snnet.profiling import count_costs
from snnet.runtime import Governor, Runtime, Setting
from snnet.runtime.engines import EagerEngine, Ready
from snnet.table import StitchTable

FAMILY = ("vit_fm_tiny", "vit_fm_small", "vit_fm_base")


class Nothing(Ready):
    """A stitch that is over at once."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return what came."""
        return images


class IdleEngine(EagerEngine):
    """An engine of stitches that are over at once."""

    def load(self, stitch: StitchLike) -> Ready:  # noqa: ARG002
        """Return nothing much."""
        return Nothing()


def scored(table: StitchTable) -> StitchTable:
    """Give every stitch the score that puts it on the frontier, and a latency that rises with its cost."""
    rows = sorted(table, key=lambda row: row.macs)
    ranked = table.with_column("top1", {row.stitch: float(place) for place, row in enumerate(rows)})
    return ranked.with_column("latency_ms", {row.stitch: 1.0 + place for place, row in enumerate(rows)})


def report(what: str, times: list[int]) -> None:
    cuts = quantiles(times, n=100)
    print(f"{what:46} median {median(times) / 1e3:6.1f} us   p99 {cuts[98] / 1e3:6.1f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switches", type=int, default=20_000)
    switches = parser.parse_args().switches
    torch.set_num_threads(1)
    net = stitch(*FAMILY).eval()
    net.table = scored(count_costs(net))
    images, draw = torch.zeros(1, *net.input.size), random.Random(0)
    budgets = [1.5]
    while len(budgets) < switches:
        limit = draw.randrange(len(net.space)) + 1.5
        budgets += [limit] if limit != budgets[-1] else []
    with Runtime(net, IdleEngine(net)) as runtime:
        runtime.wait_ready()
        runtime.on_switch.append(lambda _: None)
        setting = Setting(budgets[0])
        governor = Governor(runtime, setting, hysteresis=0.0, dwell=0.0)

        def governed(limit: float) -> None:
            setting.value = limit
            governor.run(images)

        ways = {
            "choosing, one limit": lambda limit: runtime.choose(latency_ms=limit),
            "choosing, two limits": lambda limit: runtime.choose(latency_ms=limit, macs=1e12),
            "a whole call less its stitch": lambda limit: runtime.run(images, latency_ms=limit),
            "the same through a governor": governed,
        }
        print(f"{len(runtime.stitches)} ready stitches, {switches} switches")
        for what, way in ways.items():
            times = []
            for limit in budgets:
                start = perf_counter_ns()
                way(limit)
                times.append(perf_counter_ns() - start)
            report(what, times)
        assert runtime.counters().substituted == 0 and runtime.counters().switches > switches


if __name__ == "__main__":
    main()
