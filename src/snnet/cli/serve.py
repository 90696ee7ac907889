"""`snnet serve`: answers over HTTP and gRPC, by the stitch that deadlines and load allow."""

import asyncio
from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter

from snnet.cli.console import loading, progress, say, show
from snnet.serving import USUAL_ADDRESSES, USUAL_FRONT, USUAL_SERVICE, Addresses, FrontSettings, ServiceSettings


def serve(
    source: str,
    /,
    *,
    settings: Annotated[ServiceSettings, Parameter(name="*", consume_multiple=True)] = USUAL_SERVICE,
    addresses: Annotated[Addresses, Parameter(name="*")] = USUAL_ADDRESSES,
    front: Annotated[FrontSettings, Parameter(name="*")] = USUAL_FRONT,
) -> None:
    """Answer requests by the best stitch that their deadlines and the load allow.

    Requests wait in one queue, the most urgent first. Whenever a worker is free, the policy chooses the stitch and how
    many requests it answers: in a burst quality gives way, not answers. What nothing can answer in time is refused at
    once. Before the first start the stitches of the frontier are measured on this machine, and the times kept in
    serving.jsonl beside them.

    HTTP and gRPC speak the Open Inference Protocol (/v2); POST /classify takes a picture; /metrics is for Prometheus.
    SIGTERM answers what waits and ends; SIGHUP opens the files anew, and no request is lost.

    Args:
        source: Directory of a saved network, or of a bundle.

    Examples:
        snnet serve runs/mine --slo-ms 50
        snnet serve bundle --processes --workers 2 --grpc-port 8001
    """
    loading()
    from snnet.serving import Service, run_service

    with progress("Measuring") as report:
        service = Service.open(source, settings, progress=report)
    count = len(service.table)
    say(f"{service.name}: {count} stitches, {settings.workers} workers, {settings.slo_ms:g} ms by default")

    def started(listening: Mapping[str, str]) -> None:
        for name, address in listening.items():
            show(f"{name}: {address}")
        show("Ctrl-C ends it.")

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
