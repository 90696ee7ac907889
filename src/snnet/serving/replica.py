# Tested in tests/serving/test_cluster.py.
"""A service within a replica of Ray Serve."""

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from snnet.errors import EngineError
from snnet.serving.front.app import build_app
from snnet.serving.front.metrics import Metrics
from snnet.serving.front.settings import FrontSettings
from snnet.serving.opening import ServiceSettings
from snnet.serving.service import Service
from snnet.utils import require

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

REPLICA_HEADER = "snnet-replica"
"""Says which replica has answered: the id of its node, a slash, and its own."""


class Replica:
    """A service as a replica of Ray Serve, which makes it, asks whether it is well, and ends it.

    Args:
        source: Directory of a saved network, or of a bundle.
        settings: How it answers.
        front: What callers may send.
    """

    def __init__(self, source: str, settings: ServiceSettings, front: FrontSettings) -> None:
        self.service, self._front = Service.open(source, settings), front

    def __serve_build_asgi_app__(self) -> "FastAPI":
        """Return the web application, the one that `snnet serve` runs; Ray asks once."""
        ray = require("ray", "ray")
        metrics = Metrics()
        metrics.watch(self.service)
        application = build_app(self.service, self._front, metrics)
        application.router.lifespan_context = self._lifespan
        own = ray.serve.get_replica_context().replica_id.unique_id
        application.add_middleware(_Named, name=f"{ray.get_runtime_context().get_node_id()}/{own}")
        return application

    async def check_health(self) -> None:
        """Say whether it can answer; Ray replaces a replica that cannot for long.

        Raises:
            EngineError: If all its workers hang, or have died and cannot be replaced.
        """
        if self.service.dispatcher.stuck:
            raise EngineError("All workers of this replica hang, or have died and cannot be replaced.")

    @asynccontextmanager
    async def _lifespan(self, _: "FastAPI") -> AsyncIterator[None]:
        """Answer what waits before the replica ends; Ray sends it no more requests then."""
        yield
        await self.service.close()


class _Named:
    """Says in each answer which replica it is from."""

    def __init__(self, app: "ASGIApp", name: str) -> None:
        self._app, self._header = app, (REPLICA_HEADER.encode(), name.encode())

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        async def named(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self._header]
            await send(message)

        await self._app(scope, receive, named)
