"""A server with one of the policies that `benchmarks/serving.py` compares, anchors alone and swapped models, too.

    python benchmarks/serving_server.py BUNDLE POLICY --slo-ms 25

What `snnet serve` runs, with a policy of its own; where models are swapped, the worker holds one session with weights
of its own, and opens another from its file when it is told to. Prints what loading takes, and where it listens.
"""

import argparse
import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from snnet.export.bundle import Bundle
from snnet.serving import (
    POLICIES,
    USUAL_SERVICE,
    Addresses,
    DeadlineQueue,
    Options,
    PolicyLike,
    Scheduler,
    Service,
    ServiceSettings,
    Worker,
    run_service,
)
from snnet.serving.dispatcher import Dispatcher
from snnet.serving.history import History
from snnet.serving.opening import open_version
from snnet.serving.policies import FixedPolicy, SwitchingPolicy
from snnet.serving.workers import Images

SWAPPED, ALONE = "swapped", "alone "


class SwappingWorker(Worker):
    """Holds one model at a time."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.session: Any = None

    def run(self, stitch: str, images: Images) -> Images:
        """Load the model if another one is in place, and run it."""
        if self.loaded != stitch:
            self.session, self.loaded = self.bundle.session(stitch, prepack=True), stitch
        logits: Images = self.session.run(None, {"images": images})[0]
        return logits


def policy_of(name: str, loading: Mapping[str, float]) -> PolicyLike:
    """Return what makes the policy of a name, for a server and in simulation.

    Args:
        name: One of `POLICIES`, an anchor that answers alone, or all of them swapped.
        loading: Seconds that loading takes, by anchor.
    """

    def alone(options: Options) -> FixedPolicy:
        return FixedPolicy(options.of_stitches([name.removeprefix(ALONE)]))

    def swapped(options: Options) -> SwitchingPolicy:
        return SwitchingPolicy(options.of_stitches(loading), loading=loading)

    return alone if name.startswith(ALONE) else swapped if name == SWAPPED else name


def loading_seconds(bundle: Bundle) -> dict[str, float]:
    """Return what opening each stitch takes, and its first call."""

    def seconds(stitch: str) -> float:
        begin = perf_counter()
        bundle.session(stitch, prepack=True)
        return perf_counter() - begin

    return {row.stitch: median(seconds(row.stitch) for _ in range(5)) for row in bundle.table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("policy")
    parser.add_argument("--slo-ms", type=float, required=True)
    parser.add_argument("--transport-ms", type=float, default=USUAL_SERVICE.transport_ms)
    args = parser.parse_args()
    known = args.policy in POLICIES.names()
    policy_name = args.policy if known else "fixed"
    settings = ServiceSettings(slo_ms=args.slo_ms, policy=policy_name, transport_ms=args.transport_ms)
    history = History()
    version = open_version(args.bundle, settings, history.hear, False, number=1)
    loading: dict[str, float] = {}
    if not known:
        bundle = Bundle.open(args.bundle, verify=False)
        loading = loading_seconds(bundle) if args.policy == SWAPPED else {}
        policy = policy_of(args.policy, loading)
        scheduler = Scheduler(version.options, policy, queue=DeadlineQueue(settings.queue))
        workers = [SwappingWorker(bundle)] if loading else version.dispatcher.workers
        version = replace(version, dispatcher=Dispatcher(scheduler, workers, history.hear))

    def started(listening: Mapping[str, str]) -> None:
        print(json.dumps({"loading": loading, "http": listening["http"]}), flush=True)

    asyncio.run(run_service(Service(version, settings, history), Addresses(port=0), started=started))


if __name__ == "__main__":
    main()
