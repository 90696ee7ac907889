"""uvicorn as part of a program: no signals of its own, errors as ours, and callers that send nothing are let go."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from snnet.errors import EngineError, SNNetError
from snnet.utils import Settings, require

if TYPE_CHECKING:
    from fastapi import FastAPI

GRACE = 10
"""Seconds that answers under way may take to reach their callers."""
_OTHER_FILES = 200
_LOG = logging.getLogger(__name__)

Port = Annotated[int, Field(ge=0, lt=65536)]


class Addresses(Settings):
    """Where a service listens, and to how many."""

    refused_with: ClassVar[type[SNNetError]] = EngineError

    host: str = Field("127.0.0.1", description="address of HTTP and gRPC; 0.0.0.0 for all of this machine")
    port: Port = Field(8000, description="port of HTTP; 0 for one that is free")
    grpc_port: Port | None = Field(None, description="port of gRPC; none by default")
    admin_port: Port | None = Field(None, description="port of administration, on 127.0.0.1 only; none by default")
    certificate: Path | None = Field(None, description="file of a certificate, for TLS")
    key: Path | None = Field(None, description="file of its key")
    connections: int = Field(2000, ge=1, description="connections at once; others are refused")
    header_seconds: float = Field(10.0, gt=0, description="seconds in which the headers of a request must have come")

    def url(self, host: str, port: int) -> str:
        """Return the address of HTTP.

        Args:
            host: Where it listens.
            port: The port that it has there.
        """
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


USUAL_ADDRESSES = Addresses()
"""The defaults."""


class HttpServer:
    """Serves one application on the running event loop.

    Args:
        app: The application.
        addresses: Limits of connections, and TLS.
    """

    def __init__(self, app: "FastAPI", addresses: Addresses) -> None:
        self._app, self._addresses = app, addresses
        self._task: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen, and return the address.

        Args:
            host: Address.
            port: Its port; 0 for one that is free.

        Raises:
            EngineError: If it cannot listen there, or the certificate cannot be read.
        """
        uvicorn, limits = require("uvicorn", "serve"), self._addresses
        require("httptools", "serve")
        from snnet.serving.connections import Connection

        listener = listen(host, port)
        try:
            config = uvicorn.Config(
                self._app,
                http=partial(Connection, limits.header_seconds, _room(limits.connections)),
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE,
                ssl_certfile=limits.certificate,
                ssl_keyfile=limits.key,
            )
            config.load()
        except (OSError, ValueError) as error:
            listener.close()
            raise EngineError(f"The certificate {limits.certificate} cannot be used: {error}") from error
        self._server = uvicorn.Server(config)
        self._server.capture_signals = _no_signals
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[listener]))
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0.01)
        return limits.url(host, listener.getsockname()[1])

    async def stop(self) -> None:
        """Accept no more connections, and let answers under way reach their callers."""
        if self._task is not None:
            self._server.should_exit = True
            await self._task


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: Address.
        port: Its port; 0 for one that is free.

    Raises:
        EngineError: If it cannot listen there.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise EngineError(f"Cannot listen at {host}:{port} ({error}); give another port, or 0 for any.") from error


@contextmanager
def _no_signals() -> Iterator[None]:
    yield


def _room(wanted: int) -> int:
    """Return how many connections there may be, at most as many as this process may have open files for."""
    import resource

    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY or wanted + _OTHER_FILES <= allowed:
        return wanted
    found = max(allowed - _OTHER_FILES, 1)
    _LOG.warning(
        "%d connections are taken and not %d: this process may open %d files (ulimit -n; up to %d)",
        *(found, wanted, allowed, most),
    )
    return found
