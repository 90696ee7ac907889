"""Three times what a server can answer at all, for minutes, with less before and after.

    python benchmarks/serving_overload.py snnet-demo --seconds 600

A server of a bundle, callers in other processes, all on the cores of this machine. What it can answer is what its
cheapest stitch could at its best batch. Requests have `--images` each, so that the network takes the time and not HTTP.
Printed: is every request answered or refused, how soon are they refused, how many of those admitted are in time by the
callers' clocks, does memory grow, and how soon after it is the quality back.
"""

import threading

import numpy as np
from serving_client import BROKEN, EXPIRED, REFUSED

from serving import Server, answers, bundles, in_time, options_of, parser
from snnet.serving import gamma_arrivals

CALM, LITTLE = 20.0, 0.2
"""Seconds before and after, and the load there."""


def arrivals(able: float, seconds: float, load: float) -> tuple[np.ndarray, float, float]:
    """Return when requests arrive, and when the load rises and falls."""
    calm = [gamma_arrivals(LITTLE * able, int(LITTLE * able * CALM), seed=seed) for seed in (0, 1)]
    much = calm[0][-1] + gamma_arrivals(load * able, int(load * able * seconds), seed=2)
    return np.concatenate([calm[0], much, much[-1] + calm[1]]), calm[0][-1], much[-1]


def tell(name: str, found: dict[str, np.ndarray], part: np.ndarray, good: np.ndarray) -> None:
    """Print what became of some of the requests."""
    status, seconds = found["status"], found["done"] - found["sent"]
    late, refused = (status == 200) & ~good, status == REFUSED
    counts = {
        "in time": good,
        "late": late,
        "refused": refused,
        "expired": status == EXPIRED,
        "broken": status == BROKEN,
    }
    counts |= {"without an answer": status == -1, "otherwise": ~np.isin(status, [200, REFUSED, EXPIRED, BROKEN, -1])}
    shown = ", ".join(f"{(part & which).sum()} {what}" for what, which in counts.items())
    print(f"{name}: {part.sum()} requests: {shown}")
    admitted, sent = part & ~refused, 1e3 * np.quantile((found["sent"] - found["due"])[part], 0.99)
    share, score = 100 * good[admitted].mean(), found["score"][part & good].mean()
    print(f"    of the admitted {share:.2f} % in time, with {score:.2f} %")
    if (part & refused).any():
        middle, most = 1e3 * np.quantile(seconds[part & refused], [0.5, 0.99])
        print(f"    refused within {middle:.1f} ms (median), {most:.1f} ms (p99); sent {sent:.1f} ms late (p99)")


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--images", type=int, default=32, help="of a request")
    made.add_argument("--seconds", type=float, default=600.0)
    made.add_argument("--load", type=float, default=3.0)
    args = made.parse_args()
    bundle, _ = bundles(args.network, args.folder)
    latencies = options_of(bundle).latencies
    able = float(np.nanmax(np.arange(1, latencies.shape[1] + 1) / latencies)) / args.images
    slo_ms = 1e3 * args.slo * float(latencies[-1][args.images - 1])
    print(f"it can answer {able:.0f} requests of {args.images} images per second, which may take {slo_ms:.1f} ms")
    due, rise, fall = arrivals(able, args.seconds, args.load)
    server, over, memory = Server(bundle, "elastic", slo_ms, args.transport_ms), threading.Event(), list[float]()

    def watch() -> None:
        while not over.wait(max(args.seconds / 20, 1.0)):
            memory.append(server.memory())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        found = answers(server, due, slo_ms, args.images, args.callers)
    finally:
        over.set()
        watching.join()
        server.end()
    good = in_time(found, slo_ms)
    calm, later = found["due"] <= rise, found["due"] > fall
    for name, part in (("before", calm), (f"{args.load:g} times", ~calm & ~later), ("after", later)):
        tell(name, found, part, good)
    level = float(np.quantile(found["score"][calm & good], 0.25))
    back = later & good & (found["score"] >= level)
    when = f"{(found['done'][back].min() - fall):.2f} s after the load fell" if back.any() else "never"
    print(f"quality of {level:.2f} % is back {when}; PSS in MB: {' '.join(f'{one:.0f}' for one in memory)}")


if __name__ == "__main__":
    main()
