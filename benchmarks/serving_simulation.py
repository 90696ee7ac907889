"""Elastic serving of DeiT-Ti/S/B in virtual time: our policy, SlackFit, plain ones, one model, and swapped models.

    python benchmarks/serving_simulation.py --profile deit.jsonl --output serving

Scores are the published ones of the stitched network. Latencies are those of the profile; where that file is missing
they are measured first on this machine (one thread, batches 1 to 16, predicted from blocks), which takes some minutes.
A network of random weights takes as long as a trained one.

Arrivals: two production traces (Azure Public Dataset, 2023: `conv` is calm, `code` comes in bursts), each in parts, and
gamma arrivals with squared coefficients of variation of 1 to 8, each of several seeds; all scaled to shares of what the
largest anchor can answer. A request may take `--slo` times as long as the largest anchor takes for one image. Printed
are means and half 95 % intervals over seeds or parts; then differences to SlackFit on the same traces, what is gained
over the anchors, each alone (points at an attainment that is no lower, attainment at an accuracy that is no lower), and
the share of the optimum of short pieces, which knows all arrivals.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from timeit import timeit

import numpy as np
from matplotlib.figure import Figure

from snnet.serving import (
    POLICIES,
    Arrivals,
    DeadlineQueue,
    Options,
    Request,
    Scheduler,
    Simulation,
    Workers,
    gamma_arrivals,
    offline_optimum,
    read_arrivals,
    scaled_to,
    simulate,
)
from snnet.serving.policies import FixedPolicy, SlackFitPolicy, SwitchingPolicy
from snnet.serving.scheduler import PolicyLike
from snnet.table import StitchTable

SHARED = Path(__file__).resolve().parents[2] / "shared"
ANCHORS = {"Ti": "0:0-12", "S": "1:0-12", "B": "2:0-12"}
# Of weights in single precision.
BYTES = {"0:0-12": 4 * 5.7e6, "1:0-12": 4 * 22.1e6, "2:0-12": 4 * 86.6e6}
BATCHES = (1, 2, 4, 8, 16)
COLORS = {
    "elastic": "#0b63ce",
    "slackfit": "#d1242f",
    "slackfit+": "#d1242f",
    "max_batch": "#8250df",
    "max_accuracy": "#bf8700",
}
INK, MUTED, RULE = "#1f2328", "#656d76", "#e6e8eb"


def measured(path: Path) -> StitchTable:
    """Return the profile of a file; measure and write it where there is none."""
    if not path.is_file():
        from snnet.network import stitch
        from snnet.profiling import MeasureSettings, profile

        print(f"measuring latencies, kept in {path} ...", flush=True)
        net = stitch(*(f"deit_{size}_patch16_224" for size in ("tiny", "small", "base"))).eval()
        how = MeasureSettings(BATCHES, warmup=1, repeats=4, again=0, blocks=True, energy=False)
        profile(net, stitches="all", settings=how, threads=1).save(path)
    return StitchTable.load(path)


def policies(options: Options, loading: float) -> dict[str, PolicyLike]:
    """Return what is compared; the anchors alone and swapped are made of all options, be they useful or not."""
    anchors = options.of_stitches(ANCHORS.values())
    seconds = {stitch: loading * size / 1e9 for stitch, size in BYTES.items()}
    named: dict[str, PolicyLike] = {name: name for name in ("elastic", "slackfit", "max_accuracy", "max_batch")}
    alone = {name: _alone(anchors, stitch) for name, stitch in ANCHORS.items()}
    # More than was published: a lone request gets a good stitch.
    named["slackfit+"] = partial(SlackFitPolicy, as_waits=True)
    return {**named, **alone, "swapped": lambda _: SwitchingPolicy(anchors, loading=seconds)}


def _alone(anchors: Options, stitch: str) -> PolicyLike:
    return lambda _: FixedPolicy(anchors, stitch=stitch)


def traces(folder: Path, seeds: int, count: int) -> dict[str, Callable[[float], list[Arrivals]]]:
    """Return, by name, what gives the traces of a rate."""

    def parts(name: str, rate: float) -> list[Arrivals]:
        whole = scaled_to(read_arrivals(folder / f"azure_llm_2023_{name}.txt.gz"), rate)
        return [part - part[0] for part in np.array_split(whole, seeds)]

    def drawn(cv2: float, rate: float) -> list[Arrivals]:
        return [gamma_arrivals(rate, count, cv2=cv2, seed=seed) for seed in range(seeds)]

    return {name: partial(parts, name) for name in ("conv", "code")} | {
        f"gamma {cv2}": partial(drawn, cv2) for cv2 in (1, 2, 4, 8)
    }


def half(values: list[float]) -> float:
    """Half the 95 % interval of a mean."""
    return 1.96 * stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")


def against_anchors(runs: dict[str, list[Simulation]]) -> str:
    """What ours gains over one model: points at the same attainment, or attainment at the same accuracy."""
    means = {name: (mean(found, "attainment"), mean(found, "served_accuracy")) for name, found in runs.items()}
    ours = means["elastic"]
    equal = [means[name][1] for name in ANCHORS if means[name][0] >= ours[0] - 0.005]
    better = [means[name][0] for name in ANCHORS if means[name][1] >= ours[1]]
    points = f"{ours[1] - max(equal):+5.1f}" if equal else "  none"
    return f"{points} points, {ours[0] / max(better):4.1f} times" if better else points


def mean(found: list[Simulation], name: str) -> float:
    return fmean(getattr(one, name) for one in found)


def cell(found: list[Simulation]) -> str:
    shares, scores = [100 * one.attainment for one in found], [one.served_accuracy for one in found]
    return f"{fmean(shares):6.2f} ±{half(shares):4.2f} {fmean(scores):5.2f} ±{half(scores):4.2f}"


def compared(args: argparse.Namespace, options: Options, capacity: float, slo_ms: float) -> dict[str, dict[str, list]]:
    """Run everything, print a line for each setting, and return the runs."""
    found: dict[str, dict[str, list[Simulation]]] = {}
    names = policies(options, args.loading)
    print(
        "attainment % and served accuracy, each with half an interval\n" + " " * 14 + "".join(f"{n:28}" for n in names)
    )
    for name, trace in traces(args.traces, args.seeds, args.requests).items():
        for load in args.loads:
            given = trace(load * capacity * args.workers)
            run = partial(simulate, options=options, slo_ms=slo_ms, workers=args.workers, noise=args.noise)
            runs = {policy: [run(one, policy=how) for one in given] for policy, how in names.items()}
            found[f"{name} {load}"] = runs
            print(f"{name:8} {load:4} " + "  ".join(cell(one) for one in runs.values()), flush=True)
    return found


def verdicts(args: argparse.Namespace, options: Options, runs: dict[str, dict[str, list]], slo_ms: float) -> None:
    print("\n              less SlackFit: attainment, accuracy  and less slackfit+           against one model", end="")
    print("            of the optimum")
    for setting, found in runs.items():
        line = f"{setting:13} "
        for other in ("slackfit", "slackfit+"):
            pairs = list(zip(found["elastic"], found[other], strict=True))
            shares = [100 * (one.attainment - than.attainment) for one, than in pairs]
            scores = [one.served_accuracy - than.served_accuracy for one, than in pairs]
            line += f"{fmean(shares):+6.2f} ±{half(shares):4.2f}  {fmean(scores):+6.2f} ±{half(scores):4.2f}    "
        line += f"{against_anchors(found):27}"
        if args.workers == 1 and args.short:
            # From the middle, where a part of a trace is no calmer than elsewhere; a service begins anew with each.
            pieces = [one.arrivals[len(one.arrivals) // 2 :][: args.short] for one in found["elastic"][: args.pieces]]
            best = [offline_optimum(one, options, slo_ms=slo_ms, resolution=slo_ms / 4e5) for one in pieces]
            ours = [simulate(one, options, slo_ms=slo_ms).value for one in pieces]
            line += f" {100 * sum(ours) / sum(best):6.2f} %"
        print(line, flush=True)


def costs(options: Options, slo_ms: float) -> None:
    """Time a decision, and all of scheduling a batch, with 1,000 waiting."""
    allowance, number = slo_ms / 1e3, 2000
    for name in POLICIES.names():
        scheduler = Scheduler(options, name, queue=DeadlineQueue())
        for place in range(1000):
            # All within what is allowed, so that none expires.
            scheduler.queue.put(Request(place, 0.0, allowance * (0.6 + 0.4 * place / 1000)))
        waiting = scheduler.queue.summary(0.0)
        assert waiting is not None
        alone = min(_seconds(partial(scheduler.policy.decide, waiting, 0.0, Workers()), number) for _ in range(5))

        def batch(scheduler: Scheduler = scheduler) -> None:
            job = scheduler.turn(0.0, Workers()).job
            for request in job.requests if job else ():
                scheduler.queue.put(request)

        whole = min(_seconds(batch, number) for _ in range(5))
        print(f"{name:13} {1e6 * alone:5.1f} us a decision, {1e6 * whole:5.1f} us a batch with queue, 1,000 waiting")


def _seconds(call: Callable[[], object], number: int) -> float:
    call()
    return timeit(call, number=number) / number


def draw(runs: dict[str, dict[str, list]], path: Path) -> None:
    """One panel for each arrivals at the middle load: a point for each policy."""
    loads = sorted({setting.rpartition(" ")[2] for setting in runs}, key=float)
    chosen = [setting for setting in runs if setting.endswith(f" {loads[len(loads) // 2]}")]
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    for place, setting in enumerate(chosen, 1):
        axes = figure.add_subplot(2, 3, place)
        frame(axes, setting.replace("gamma", "gamma, CV²").rpartition(" ")[0], "attainment, %", "served accuracy, %")
        points = {
            name: (100 * mean(found, "attainment"), mean(found, "served_accuracy"))
            for name, found in runs[setting].items()
        }
        level = float("inf")
        for name, (x, y) in sorted(points.items(), key=lambda item: -item[1][1]):
            axes.scatter(x, y, s=45, color=COLORS.get(name, INK), edgecolors="white", zorder=3)
            # Names stand in a column, none on another.
            level = min(y, level - 0.75)
            line = {"arrowstyle": "-", "color": RULE, "shrinkB": 4}
            where = {"xytext": (0.42, level), "textcoords": ("axes fraction", "data"), "va": "center", "fontsize": 8}
            axes.annotate(name, (x, y), color=COLORS.get(name, INK), arrowprops=line, **where)
        axes.margins(0.08)
        axes.set_xlim(right=102)
    figure.savefig(path, dpi=150)


def frame(axes, title: str, x: str, y: str) -> None:  # type: ignore[no-untyped-def]
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="y", color=RULE)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8, labelcolor=MUTED)
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)


def draw_burst(runs: dict[str, list[Simulation]], path: Path) -> None:
    """What waits, and who answers, around the largest burst of the first trace."""
    ours = runs["elastic"][0]
    arrivals, width = ours.arrivals, 20 * float(np.nanmax(ours.finishes - ours.arrivals))
    dense = int(np.argmax(np.searchsorted(arrivals, arrivals + width / 20) - np.arange(len(arrivals))))
    begin = arrivals[dense] - width / 4
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    frame(top, "A burst", "", "arrivals per second")
    shown = arrivals[(arrivals >= begin) & (arrivals < begin + width)] - begin
    counts, edges = np.histogram(shown, 80, (0, width))
    top.fill_between(edges[:-1], counts / (edges[1] - edges[0]), step="post", color=MUTED, alpha=0.5, linewidth=0)
    frame(bottom, "", "seconds", "score of the stitch that answers, %")
    for name in ("slackfit", "elastic"):
        run = runs[name][0]
        inside = (run.finishes >= begin) & (run.finishes < begin + width) & run.in_time
        scores = run.options.scores[run.rows[inside]]
        bottom.scatter(run.finishes[inside] - begin, scores, s=9, color=COLORS[name], label=name, alpha=0.7)
        lost = (arrivals >= begin) & (arrivals < begin + width) & ~run.in_time
        level = run.options.scores.min() - (1.2 if name == "elastic" else 2.0)
        label = f"not in time ({lost.sum()})"
        bottom.scatter(
            arrivals[lost] - begin, np.full(lost.sum(), level), s=14, marker="x", color=COLORS[name], label=label
        )
    bottom.legend(frameon=False, fontsize=9, labelcolor=INK, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.1))
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--profile", type=Path, default=Path("deit_profile.jsonl"), help="latencies; measured if missing"
    )
    parser.add_argument("--traces", type=Path, default=SHARED / "data" / "traces")
    parser.add_argument("--reference", type=Path, default=SHARED / "reference" / "deit_ti_s_b.json")
    parser.add_argument("--slo", type=float, default=2.5, help="in latencies of the largest anchor for one image")
    parser.add_argument("--loads", type=float, nargs="+", default=[0.7, 1.0, 1.5])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--noise", type=float, default=0.0, help="deviation of the logarithm of latencies")
    parser.add_argument("--loading", type=float, default=1.0, help="seconds that a swapped model takes to load, per GB")
    parser.add_argument("--seeds", type=int, default=5, help="of gamma arrivals; parts of traces")
    parser.add_argument("--requests", type=int, default=1500, help="of gamma arrivals, for each seed")
    parser.add_argument("--short", type=int, default=60, help="requests of a piece whose optimum is computed; 0: none")
    parser.add_argument("--pieces", type=int, default=5)
    parser.add_argument("--output", type=Path, help="beginning of the names of two pictures")
    args = parser.parse_args()
    if not args.reference.is_file() or not args.traces.is_dir():
        sys.exit(f"Left out: this needs the published scores ({args.reference}) and the traces ({args.traces}).")
    scores = {row["stitch"]: row["top1"] for row in json.loads(args.reference.read_text())["stitches"]}
    options = Options.of(measured(args.profile).with_column("top1", scores))
    seconds = options.of_stitches([ANCHORS["B"]]).latencies[0]
    capacity = max(n / s for n, s in enumerate(seconds, 1))
    slo_ms = 1e3 * args.slo * float(seconds[0])
    print(
        f"{len(options)} useful stitches; the largest anchor answers {capacity:.2f} images per second, one in ", end=""
    )
    print(f"{1e3 * seconds[0]:.0f} ms; a request may take {slo_ms:.0f} ms; {args.workers} worker(s)")
    runs = compared(args, options, capacity, slo_ms)
    verdicts(args, options, runs, slo_ms)
    costs(options, slo_ms)
    if args.output:
        draw(runs, Path(f"{args.output}_policies.png"))
        bursty = max((name for name in runs if name.startswith("code")), default=next(iter(runs)))
        draw_burst(runs[bursty], Path(f"{args.output}_burst.png"))


if __name__ == "__main__":
    main()
