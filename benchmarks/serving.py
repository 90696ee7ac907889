"""Elastic serving for real: a server of a bundle, callers in another process, all on the cores of this machine.

    python benchmarks/serving.py snnet-demo

Policies, each anchor alone, and swapped models answer the same arrivals (gamma, squared coefficient of variation
`--cv2`) in turns, in shuffled order. Requests have `--images` each, so that the network takes the time and not HTTP,
and may take `--slo` times as long as the largest anchor takes for one. The load is a share of what that one can answer.
Printed: the share of all requests that was answered in time by the callers' clocks, the mean score of these, and what
the simulator predicts from the latencies that the servers measured at their start, times what calls took more while
callers shared the cores (the median, `calls`).
"""

import argparse
import json
import random
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import numpy as np
import psutil
from serving_server import ALONE, SWAPPED, policy_of

import snnet
from snnet.export.bundle import MANIFEST, Bundle, write_bundle
from snnet.serving import Option, Options, gamma_arrivals, simulate
from snnet.table import StitchTable

HERE = Path(__file__).resolve().parent
NAMES = ["elastic", "slackfit", "max_accuracy", "max_batch"]
Found = dict[tuple[float, str], list[tuple[float, float]]]
"""Load and policy -> attainment in percent and served accuracy of each round."""
_LEAD = 1.5
"""Seconds in which callers start."""


class Server:
    """One server in a process of its own."""

    def __init__(self, bundle: Path, policy: str, slo_ms: float, transport_ms: float = 0.0) -> None:
        command = [sys.executable, str(HERE / "serving_server.py"), str(bundle), policy]
        command += ["--slo-ms", str(slo_ms), "--transport-ms", str(transport_ms)]
        self.bundle, self.process = bundle, subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.loading, self.address = told["loading"], told["http"].removeprefix("http://")

    def memory(self) -> float:
        """Return proportional set size of the server and its children, in MB."""
        own = psutil.Process(self.process.pid)
        return sum(one.memory_full_info().pss for one in [own, *own.children(recursive=True)]) / 1e6

    def end(self) -> None:
        """Let it drain."""
        self.process.terminate()
        self.process.wait()


def options_of(bundle: Path) -> Options:
    """Return what servers of the bundle measured at their first start."""
    return Options.of(StitchTable.load(bundle / "serving.jsonl"))


def answers(server: Server, arrivals: np.ndarray, slo_ms: float, images: int, callers: int) -> dict[str, np.ndarray]:
    """Send requests from other processes; return what became of each, in order, in seconds from the beginning."""
    host, port = server.address.split(":")
    shape = [images, *Bundle.open(server.bundle, verify=False).input.size]
    begin = time.monotonic() + _LEAD
    with TemporaryDirectory() as folder:
        started = []
        for number in range(callers):
            files = {name: f"{folder}/{number}.{ending}" for name, ending in (("arrivals", "npy"), ("found", "npz"))}
            np.save(files["arrivals"], begin + arrivals[number::callers])
            job = {"host": host, "port": port, "model": server.bundle.resolve().name, "deadline_ms": slo_ms}
            path = Path(folder) / f"{number}.json"
            path.write_text(json.dumps({**job, **files, "shape": shape}))
            started.append(subprocess.Popen([sys.executable, str(HERE / "serving_client.py"), str(path)]))
        for process in started:
            process.wait()
        parts = [np.load(f"{folder}/{number}.npz") for number in range(callers)]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].files}
    order = np.argsort(found["due"])
    found = {name: values[order] for name, values in found.items()}
    return {name: values - begin if name in ("due", "sent", "done") else values for name, values in found.items()}


def slower(options: Options, found: dict[str, np.ndarray]) -> float:
    """Return how many times as long calls took as was measured when nobody asked: the median over answers."""
    known = {stitch: options.latencies[row] for row, stitch in enumerate(options.stitches)}
    pairs = zip(found["stitch"], found["batch"], found["compute"], strict=True)
    ratios = [took / 1e3 / known[stitch][batch - 1] for stitch, batch, took in pairs if stitch in known and batch]
    return float(np.median(ratios)) if ratios else 1.0


def times_as_long(options: Options, factor: float) -> Options:
    """Return options that take some times as long."""
    return Options(
        Option(stitch, batch, factor * float(seconds), float(options.scores[row]))
        for row, stitch in enumerate(options.stitches)
        for batch, seconds in enumerate(options.latencies[row], 1)
        if np.isfinite(seconds)
    )


def in_time(found: dict[str, np.ndarray], slo_ms: float) -> np.ndarray:
    """Tell which requests were answered in time, by the callers' clocks."""
    told: np.ndarray = (found["status"] == 200) & (found["done"] - found["sent"] <= slo_ms / 1e3)
    return told


def compare(args: argparse.Namespace, elastic: Path, anchors: Path) -> None:
    options = options_of(elastic)
    single = options_of(anchors)
    largest = single.of_stitches([single.stitches[-1]]).latencies[0]
    slo_ms = 1e3 * args.slo * float(largest[args.images - 1])
    rate = max(n / s for n, s in enumerate(largest, 1)) / args.images
    names = [*NAMES, *(ALONE + stitch for stitch in single.stitches), SWAPPED]
    print(f"{len(options)} useful stitches; the largest anchor answers {rate:.0f} requests per second", end="")
    print(f" of {args.images} images; one may take {slo_ms:.1f} ms")
    where = {name: elastic if name in NAMES else anchors for name in names}
    servers = {name: Server(place, name, slo_ms, args.transport_ms) for name, place in where.items()}
    real: Found = {}
    predicted: Found = {}
    order = random.Random(0)
    try:
        for turn, load in product(range(args.rounds), args.loads):
            arrivals = gamma_arrivals(load * rate, int(args.seconds * load * rate), cv2=args.cv2, seed=turn)
            for name in order.sample(names, len(names)):
                server = servers[name]
                found = answers(server, arrivals, slo_ms, args.images, args.callers)
                good = in_time(found, slo_ms)
                score = float(found["score"][good].mean()) if good.any() else float("nan")
                real.setdefault((load, name), []).append((100 * float(good.mean()), score))
                own = options if name in NAMES else single
                factor = slower(own, found)
                told = simulate(
                    arrivals,
                    times_as_long(own, factor),
                    policy_of(name, server.loading),
                    slo_ms=slo_ms - args.transport_ms,
                    images=args.images,
                )
                predicted.setdefault((load, name), []).append((100 * told.attainment, told.served_accuracy))
                late = 1e3 * np.quantile(found["sent"] - found["due"], 0.99)
                outside = 1e3 * np.nanquantile(found["done"] - found["sent"] - found["told"], 0.95)
                print(f"round {turn} load {load} {name:14} {100 * good.mean():6.2f} % {score:6.2f}", end="")
                print(f"   predicted {100 * told.attainment:6.2f} % {told.served_accuracy:6.2f}", end="")
                print(
                    f"   {len(arrivals)} requests, sent {late:.1f} ms late (p99), transport {outside:.1f} ms (p95)"
                    f", calls {factor:.2f}",
                    flush=True,
                )
    finally:
        for server in servers.values():
            server.end()
    report(args, names, real, predicted)


def report(args: argparse.Namespace, names: list[str], real: Found, predicted: Found) -> None:
    """Print means over rounds, and in which order the policies stand."""
    for load in args.loads:
        print(f"\nload {load}: attainment % and served accuracy, measured, predicted, and points for each request")
        value: dict[str, list[float]] = {}
        for name in names:
            (share, score), (told, told_score) = (
                [fmean(row[part] for row in found[load, name]) for part in (0, 1)] for found in (real, predicted)
            )
            value[name] = [share * score / 100, told * told_score / 100]
            print(
                f"  {name:14} {share:6.2f} {score:6.2f}   {told:6.2f} {told_score:6.2f}   {share - told:+6.2f}", end=""
            )
            print(f"   {value[name][0]:6.2f} {value[name][1]:6.2f}")
        for place, what in enumerate(("measured", "predicted")):
            print(f"  order, {what + ':':10}", ", ".join(sorted(names, key=lambda name: -value[name][place])))


def bundles(network: Path, folder: Path) -> tuple[Path, Path]:
    """Return the bundles of a network's frontier and of its anchors, made and measured if they are missing."""
    found = folder / "frontier", folder / "anchors"
    for path in found:
        if not (path / MANIFEST).is_file():
            write_bundle(snnet.load(network), path, path.name)
        if not (path / "serving.jsonl").is_file():
            Server(path, "elastic", 1000.0).end()
    return found


def parser(about: str | None) -> argparse.ArgumentParser:
    """Return a parser of what all of these benchmarks take."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("network", type=Path, help="a saved network with scores")
    made.add_argument("--folder", type=Path, default=Path("serving-bundles"), help="of the bundles; made if missing")
    made.add_argument("--slo", type=float, default=3.0, help="in latencies of the largest stitch for one request")
    made.add_argument("--callers", type=int, default=1, help="processes that send")
    made.add_argument("--transport-ms", type=float, default=5.0, help="what callers see more than the server counts")
    return made


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--images", type=int, default=8, help="of a request")
    made.add_argument("--loads", type=float, nargs="+", default=[0.7, 1.5])
    made.add_argument("--cv2", type=float, default=4.0)
    made.add_argument("--seconds", type=float, default=15.0, help="of a run")
    made.add_argument("--rounds", type=int, default=3)
    args = made.parse_args()
    compare(args, *bundles(args.network, args.folder))


if __name__ == "__main__":
    main()
