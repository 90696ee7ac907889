"""`snnet serve`: answers over HTTP and gRPC, by the stitch that deadlines and load allow."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from snnet.cli.console import loading, progress, say, show
from snnet.errors import BudgetError
from snnet.serving import (
    USUAL_ADDRESSES,
    USUAL_CLUSTER,
    USUAL_FRONT,
    USUAL_SERVICE,
    Addresses,
    ClusterSettings,
    FrontSettings,
    ServiceSettings,
)


def serve(
    source: str,
    /,
    *,
    settings: Annotated[ServiceSettings, Parameter(name="*", consume_multiple=True)] = USUAL_SERVICE,
    addresses: Annotated[Addresses, Parameter(name="*")] = USUAL_ADDRESSES,
    front: Annotated[FrontSettings, Parameter(name="*")] = USUAL_FRONT,
    ray: Annotated[bool, Parameter(negative="")] = False,
    cluster: Annotated[ClusterSettings, Parameter(name="*")] = USUAL_CLUSTER,
) -> None:
    """Answer requests by the best stitch that their deadlines and the load allow.

    Requests wait in one queue, the most urgent first. Whenever a worker is free, the policy chooses the stitch and how
    many requests it answers: in a burst quality gives way, not answers. What nothing can answer in time is refused at
    once. Before the first start the stitches of the frontier are measured on this machine, and the times kept in
    serving.jsonl beside them.

    HTTP and gRPC speak the Open Inference Protocol (/v2); POST /classify takes a picture, or POST /segment where the
    network gives masks or depths; /metrics is for Prometheus. SIGTERM answers what waits and ends; SIGHUP opens the
    files anew, and no request is lost.

    Args:
        source: Directory of a saved network, or of a bundle.
        ray: Run it as replicas on a Ray cluster: that of RAY_ADDRESS, or else a new one on this machine.

    Examples:
        snnet serve runs/mine --slo-ms 50
        snnet serve bundle --processes --workers 2 --grpc-port 8001
        snnet serve runs/mine --ray --max-replicas 4
    """
    if not ray and cluster.model_fields_set:
        given = ", ".join(sorted(cluster.model_fields_set))
        raise BudgetError(f"{given}: given, and only a cluster has replicas; add --ray, or leave it out.")
    if not settings.processes:
        loading()
    from snnet.serving import Service, check_addresses, cluster_application, run_on_cluster, run_service

    def started(listening: Mapping[str, str]) -> None:
        for name, address in listening.items():
            show(f"{name}: {address}")
        show("Ctrl-C ends it.")

    if ray:
        check_addresses(addresses)
        application = cluster_application(source, settings, front, cluster)
        run_on_cluster(application, Path(source).resolve().name, addresses, started)
    else:
        with progress("Measuring") as report:
            service = Service.open(source, settings, progress=report)
        count = len(service.table)
        say(f"{service.name}: {count} stitches, {settings.workers} workers, {settings.slo_ms:g} ms by default")
        _allow_files(addresses.connections + 1000)
        asyncio.run(run_service(service, addresses, front, started))
    say("All that waited was answered.")


def _allow_files(count: int) -> None:
    """Let this process have so many files open, which connections are, as far as it may decide that itself."""
    import resource

    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != allowed < count:
        wanted = count if most == resource.RLIM_INFINITY else min(count, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
