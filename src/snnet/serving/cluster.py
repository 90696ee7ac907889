"""The same service on many machines: replicas on a Ray cluster, more of them while many requests wait."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from snnet.errors import BudgetError, EngineError, SNNetError
from snnet.serving.front.settings import FrontSettings
from snnet.serving.listening import GRACE, USUAL_ADDRESSES, Addresses, listen
from snnet.serving.opening import ServiceSettings, check_source
from snnet.serving.replica import Replica
from snnet.serving.running import told_to_end
from snnet.utils import Settings, checked_settings, require

if TYPE_CHECKING:
    from ray.serve import Application


ANYWHERE = {"RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0"}
"""Environment in which Ray's proxies send a request to where least waits, and not to their own node as long as it
accepts any; ours accepts many more than it answers soon."""
_LOGS = {"log_level": "WARNING", "enable_access_log": False}


class ClusterSettings(Settings):
    """How many replicas of a service run on a Ray cluster."""

    refused_with: ClassVar[type[SNNetError]] = BudgetError

    replicas: int = Field(1, ge=1, description="replicas on a Ray cluster, at least")
    max_replicas: int | None = Field(None, ge=1, description="replicas at most; as many as --replicas by default")
    replica_requests: float = Field(
        4.0, gt=0, description="requests that wait or run at a replica, on average, above which another one is started"
    )
    upscale_seconds: float = Field(10.0, ge=1, description="seconds that this must last")
    downscale_seconds: float = Field(300.0, ge=1, description="seconds that fewer must last before a replica ends")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError(f"max_replicas is {self.max_replicas}, below replicas, which is {self.replicas}")
        return self


USUAL_CLUSTER = ClusterSettings()
"""The defaults."""


class Arguments(ServiceSettings, FrontSettings, ClusterSettings):
    """What `serve run snnet.serving.cluster:app` takes, as name=value."""

    source: str = Field(description="directory of a saved network, or of a bundle; the same on all nodes")


def app(arguments: dict[str, Any]) -> "Application":
    """Return the application for `serve run snnet.serving.cluster:app source=DIRECTORY slo_ms=50 max_replicas=4`.

    Args:
        arguments: Settings of `Arguments` by their names; Ray would check them too, but not say which are known.

    Raises:
        BudgetError: If an argument is unknown or wrong, or as `cluster_application`.
    """
    given = checked_settings(Arguments, arguments, "The application")
    parts = (
        kind(**{name: getattr(given, name) for name in kind.model_fields})
        for kind in (ServiceSettings, FrontSettings, ClusterSettings)
    )
    return cluster_application(given.source, *parts)  # type: ignore[arg-type]


def cluster_application(
    source: str | Path, settings: ServiceSettings, front: FrontSettings, cluster: ClusterSettings
) -> "Application":
    """Return what `ray.serve.run` runs: replicas, each of which opens the source for itself.

    Args:
        source: Directory of a saved network, or of a bundle; every node must see it at the same place.
        settings: How each replica answers.
        front: What callers may send.
        cluster: How many replicas there are.

    Raises:
        BudgetError: If no stitch has a score, or a setting does not fit the source or a cluster.
        CheckpointError: If the source cannot be read; ExportError for a bundle.
        ExtraError: If packages of the extras `ray` or `serve` are missing.
    """
    if settings.cores:
        raise BudgetError(
            f"cores are {settings.cores}, and all replicas would use the same; leave it out on a cluster."
        )
    check_source(Path(source), settings)
    serve = require("ray.serve", "ray")
    # What the queue holds, runs and reads at most, and more: it is the queue that refuses, for it knows the deadlines.
    held = 2 * settings.queue + settings.workers * settings.max_batch + front.decoding_waiting
    scale: dict[str, Any] = {"num_replicas": cluster.replicas}
    if cluster.max_replicas is not None:
        scale["autoscaling_config"] = {
            "min_replicas": cluster.replicas,
            "max_replicas": cluster.max_replicas,
            "target_ongoing_requests": cluster.replica_requests,
            "upscale_delay_s": cluster.upscale_seconds,
            "downscale_delay_s": cluster.downscale_seconds,
        }
        scale["num_replicas"] = None
    deployment = serve.deployment(
        serve.ingress()(Replica),
        name="snnet",
        ray_actor_options={
            "num_cpus": settings.workers * settings.threads,
            "num_gpus": int(settings.device.startswith("cuda")),
        },
        max_ongoing_requests=held,
        max_queued_requests=settings.queue,
        graceful_shutdown_timeout_s=settings.slo_ms / 1e3 + 2 * GRACE,
        logging_config=_LOGS,
        **scale,
    )
    application: Application = deployment.bind(str(Path(source).resolve()), settings, front)
    return application


def check_addresses(addresses: Addresses) -> None:
    """Refuse what the proxies of Ray, which listen on a cluster, do not have.

    Args:
        addresses: Where the service is to listen.

    Raises:
        EngineError: If one differs from its default that a cluster does not have.
    """
    for name in ("grpc_port", "admin_port", "connections", "header_seconds"):
        if (value := getattr(addresses, name)) != getattr(USUAL_ADDRESSES, name):
            raise EngineError(
                f"{name} is {value}, and Ray's proxies, which listen on a cluster, have none; leave it out."
            )
    if addresses.port == 0:
        raise EngineError("port is 0, and the proxies of a cluster listen at one that is known; accepted: 1 to 65535.")


def run_on_cluster(
    application: "Application",
    name: str,
    addresses: Addresses,
    started: Callable[[dict[str, str]], object] = lambda _: None,
) -> None:
    """Run an application until SIGTERM or SIGINT; then let its replicas answer what waits, and return.

    The cluster is that of the environment variable `RAY_ADDRESS` (`auto`: the one that runs on this machine), or else
    one that this starts, and ends.

    Args:
        application: From `cluster_application`.
        name: What Ray calls it.
        addresses: Where Ray's proxies listen; those of a cluster that serves already stay where they are.
        started: Told what listens where, once a replica answers.

    Raises:
        EngineError: If the cluster cannot be reached, the address is taken, or no replica starts.
        ExtraError: If packages of the extra `ray` are missing.
    """
    check_addresses(addresses)
    ray, serve = require("ray", "ray"), require("ray.serve", "ray")
    # Nothing is told to others unless the user wants it to be.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    before = signal.getsignal(signal.SIGTERM)  # Ray puts one of its own there, for good
    try:
        ray.init(_cluster(), namespace="serve", include_dashboard=False, logging_level="WARNING")
        if not serve.status().proxies:
            listen(addresses.host, addresses.port).close()
        options = {"host": addresses.host, "port": addresses.port}
        if addresses.certificate is not None:
            options |= {"ssl_certfile": str(addresses.certificate), "ssl_keyfile": str(addresses.key)}
        environment = {"runtime_env": {"env_vars": ANYWHERE}}
        serve.start(
            proxy_location="EveryNode", http_options=options, logging_config=_LOGS, controller_options=environment
        )
        try:
            serve.run(application, name=name)
            asyncio.run(_wait(lambda: started({"http": addresses.url(addresses.host, addresses.port)})))
        finally:
            serve.delete(name)
            if not serve.status().applications:
                serve.shutdown()
    except SNNetError:
        raise
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EngineError(f"The service does not run on a Ray cluster: {error}") from error
    finally:
        ray.shutdown()
        signal.signal(signal.SIGTERM, before)


def _cluster() -> str:
    """Return the address of the cluster, if something listens there; Ray would wait for minutes."""
    # Without one Ray would look for the last cluster of this machine, and wait for it if it has died.
    address = os.environ.get("RAY_ADDRESS", "local")
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "://" not in address:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise EngineError(
                f"RAY_ADDRESS is {address}, and nothing answers there ({error}); give that of a cluster that runs, or "
                "none to start one here."
            ) from error
    return address


async def _wait(started: Callable[[], object]) -> None:
    with told_to_end() as end:
        started()
        await end.wait()
