"""Question: what becomes of requests when a node of a cluster dies, and does the number of replicas follow the load?

    python benchmarks/serving_cluster.py snnet-demo

Two nodes of Ray run on this machine, each with room for one replica; both nodes' proxies listen at one port, and the
kernel deals connections out, as a load balancer would that notices at once who is gone. Callers in processes of their
own ask at a steady rate, one connection each, and never ask twice. First one replica serves, and a load that it cannot
bear for long is laid on it and taken away; then two serve, and all processes of a node (not the head, or with
`--head` the head) end at once by SIGKILL. Ray ends what has been without its head for a minute, this script too.
Printed, and written as JSON to `--output`: replicas over time; answers and errors by what they were, before and after;
seconds from the kill to the last request that was lost, and to the last that was not answered in time.
"""

import argparse
import json
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
PATIENCE = 20.0


class Asked(NamedTuple):
    """What callers ask, and where."""

    port: int
    path: str
    body: bytes


class Told(NamedTuple):
    """What became of a request: when it was sent, how it ended, which node answered, and seconds until then."""

    sent: float
    outcome: str
    node: str
    seconds: float


OUTCOMES = {200: "answered", 503: "refused", 504: "expired"}


class Callers:
    """Processes that ask at a rate together, until they are told to end."""

    def __init__(self, asked: Asked, rate: float, count: int, processes: int = 2) -> None:
        context = multiprocessing.get_context("spawn")
        self._end, self._told = context.Event(), context.Queue()
        each = count // processes
        given = (asked, count / rate, each, self._end, self._told)
        self._processes = [context.Process(target=_call, args=given, daemon=True) for _ in range(processes)]
        for process in self._processes:
            process.start()

    def end(self) -> list[Told]:
        """Return what became of all requests."""
        self._end.set()
        told = [one for _ in self._processes for one in self._told.get(timeout=PATIENCE + 30)]
        for process in self._processes:
            process.join()
        return sorted(told)


def _call(asked: Asked, gap: float, count: int, end: Any, told: Any) -> None:
    found: list[Told] = []
    threads = [threading.Thread(target=_ask, args=(asked, gap, k * gap / count, end, found)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(found)


def _ask(asked: Asked, gap: float, first: float, end: Any, found: list[Told]) -> None:
    connection, due, parent = None, time.monotonic() + first, os.getppid()
    while not end.is_set() and os.getppid() == parent:
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due + gap, time.monotonic() - gap)
        sent, node = time.time(), ""
        try:
            if connection is None:
                connection = HTTPConnection("127.0.0.1", asked.port, timeout=PATIENCE)
            connection.request("POST", asked.path, asked.body)
            answer = connection.getresponse()
            node = (answer.getheader("snnet-replica") or "").partition("/")[0]
            answer.read()
            outcome = OUTCOMES.get(answer.status, f"failed ({answer.status})")
        except TimeoutError:
            outcome, connection = f"no answer in {PATIENCE:g} s", None
        except (OSError, HTTPException):
            outcome, connection = "connection lost", None
        found.append(Told(sent, outcome, node, time.time() - sent))


@contextmanager
def two_nodes() -> Iterator[Any]:
    """Yield a cluster of two nodes, with room for a replica each."""
    import ray
    from ray.cluster_utils import Cluster

    from snnet.serving.cluster import ANYWHERE

    os.environ |= ANYWHERE
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        ray.init(cluster.address, namespace="serve", logging_level="ERROR", log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def deploy(network: Path, port: int, **arguments: object) -> None:
    """Serve a network; return when a replica answers."""
    from ray import serve

    from snnet.serving.cluster import app

    quiet = {"log_level": "ERROR", "enable_access_log": False}
    serve.start(proxy_location="EveryNode", http_options={"host": "127.0.0.1", "port": port}, logging_config=quiet)
    serve.run(app({"source": str(network), **arguments}), name="benchmark")


def replicas() -> int:
    """Return how many replicas run."""
    from ray import serve

    [deployment] = serve.status().applications["benchmark"].deployments.values()
    return deployment.replica_states.get("RUNNING", 0)


def wait_for(count: int, patience: float) -> float | None:
    """Return the seconds until so many replicas run; None if they do not."""
    begun = time.monotonic()
    while time.monotonic() - begun < patience:
        if replicas() == count:
            return round(time.monotonic() - begun, 1)
        time.sleep(0.2)
    return None


def processes_below(pid: int) -> list[int]:
    """Return a process and all that it has started."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def kill(node: Any) -> int:
    """End all processes of a node at once, and return how many they were."""
    own = [info.process.pid for infos in node.all_processes.values() for info in infos]
    every = {pid for one in own for pid in processes_below(one)}
    for pid in every:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(every)


def counted(told: Sequence[Told]) -> dict[str, int]:
    """Return how many requests ended how."""
    return dict(Counter(one.outcome for one in told).most_common())


def scaling(network: Path, asked: Asked, args: argparse.Namespace) -> dict[str, Any]:
    """Return seconds until a second replica runs under load, and until it is gone after it."""
    settings = {"replicas": 1, "max_replicas": 2, "upscale_seconds": 3, "downscale_seconds": 10, "replica_requests": 3}
    deploy(network, asked.port, slo_ms=args.slo_ms, **settings)
    before = wait_for(1, 30)
    callers = Callers(asked, 1e6, args.burst)  # each asks again as soon as it is answered
    up = wait_for(2, 120)
    time.sleep(5)
    told = callers.end()
    down = wait_for(1, 180)
    nodes = sorted(Counter(one.node for one in told if one.node).values())
    return {"one": before is not None, "seconds_up": up, "seconds_down": down, "by_node": nodes, "told": counted(told)}


def losing_a_node(network: Path, asked: Asked, args: argparse.Namespace, cluster: Any) -> dict[str, Any]:
    """Return what became of requests before and after a node was killed."""
    deploy(network, asked.port, slo_ms=args.slo_ms, replicas=2)
    assert wait_for(2, 60) is not None, "two replicas do not run"
    callers = Callers(asked, args.rate, args.callers)
    time.sleep(args.before)
    [worker] = cluster.worker_nodes
    node = cluster.head_node if args.head else worker
    killed, count = time.time(), kill(node)
    time.sleep(args.after)
    told = callers.end()
    before = [one for one in told if one.sent + one.seconds < killed]
    after = [one for one in told if one.sent + one.seconds >= killed]
    told_no = [*OUTCOMES.values()]  # whoever is refused or late because fewer answer now has been told so
    lost = [one for one in after if one.outcome not in told_no]
    ends = {"lost": lost, "not_answered": [one for one in after if one.outcome != "answered"]}
    last = {name: max((one.sent + one.seconds for one in those), default=killed) for name, those in ends.items()}
    return {
        "killed": ("head" if args.head else "worker", f"{count} processes"),
        "before": counted(before),
        "by_node_before": sorted(Counter(one.node for one in before).values()),
        "after": counted(after),
        "under_way": sum(one.sent < killed for one in after),
        "lost_under_way": sum(one.sent < killed for one in lost),
        "seconds_to_the_last": {name: round(end - killed, 2) for name, end in last.items()},
        "longest_wait": round(max(one.seconds for one in after), 2),
    }


def main() -> None:
    import numpy as np

    import snnet

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    parser.add_argument("--parts", nargs="+", choices=("scaling", "loss"), default=("scaling", "loss"))
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second, when a node is lost")
    parser.add_argument("--callers", type=int, default=20, help="connections, when a node is lost")
    parser.add_argument("--burst", type=int, default=16, help="requests at once, when replicas are to follow")
    parser.add_argument("--slo-ms", type=float, default=1000.0)
    parser.add_argument("--before", type=float, default=10.0, help="seconds before the kill")
    parser.add_argument("--after", type=float, default=30.0, help="seconds after it")
    parser.add_argument("--head", action="store_true", help="kill the head node")
    parser.add_argument("--port", type=int, default=8023)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    size = snnet.load(args.network).input.size
    images = np.random.default_rng(0).standard_normal((1, *size), np.float32)
    tensor = {"name": "images", "datatype": "FP32", "shape": images.shape, "data": images.ravel().tolist()}
    body = json.dumps({"inputs": [tensor]}).encode()
    asked = Asked(args.port, f"/v2/models/{args.network.resolve().name}/infer", body)
    found: dict[str, Any] = {}
    for part in args.parts:
        with two_nodes() as cluster:
            given = (args.network, asked, args)
            found[part] = scaling(*given) if part == "scaling" else losing_a_node(*given, cluster)
        print(part, json.dumps(found[part], indent=1))
    if args.output is not None:
        args.output.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
