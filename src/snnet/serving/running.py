# Tested in tests/cli/test_serve.py.
"""A service on the network: HTTP, gRPC and administration, until it is told to end."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from snnet.errors import SNNetError
from snnet.serving.administration import administration
from snnet.serving.front.app import build_app
from snnet.serving.front.grpc_api import start_grpc
from snnet.serving.front.metrics import Metrics
from snnet.serving.front.settings import FrontSettings
from snnet.serving.listening import GRACE, Addresses, HttpServer
from snnet.serving.service import Service

_LOG = logging.getLogger(__name__)


async def run_service(
    service: Service,
    addresses: Addresses,
    front: FrontSettings | None = None,
    started: Callable[[dict[str, str]], object] = lambda _: None,
) -> None:
    """Serve until SIGTERM or SIGINT; then answer what waits, and return. SIGHUP opens the files of the network anew.

    Args:
        service: What answers.
        addresses: Where it listens.
        front: What callers may send.
        started: Told what listens where, once all does.

    Raises:
        EngineError: If an address is taken.
        ExtraError: If packages of the extra `serve` are missing.
    """
    metrics = Metrics()
    metrics.watch(service)
    apps = {"http": (build_app(service, front, metrics), addresses.host, addresses.port)}
    if addresses.admin_port is not None:
        apps["admin"] = administration(service), "127.0.0.1", addresses.admin_port
    servers = [HttpServer(app, addresses) for app, _, _ in apps.values()]
    grpc, listening = None, dict[str, str]()
    with told_to_end(lambda: _renew(service)) as end:
        try:
            for server, (name, (_, host, port)) in zip(servers, apps.items(), strict=True):
                listening[name] = await server.start(host, port)
            if addresses.grpc_port is not None:
                grpc, port = await start_grpc(service, addresses.host, addresses.grpc_port, front, metrics)
                listening["grpc"] = f"{addresses.host}:{port}"
            started(listening)
            await end.wait()
        finally:
            await service.close()
            if grpc is not None:
                await grpc.stop(GRACE)
            for server in servers:
                await server.stop()


@contextmanager
def told_to_end(renew: Callable[[], Coroutine[Any, Any, None]] | None = None) -> Iterator[asyncio.Event]:
    """Within the block signals are heard; yield what is set by SIGTERM and SIGINT.

    Args:
        renew: What SIGHUP does.
    """
    loop, end, renewing = asyncio.get_running_loop(), asyncio.Event(), set[asyncio.Task[None]]()
    handlers: dict[int, Callable[[], None]] = {signal.SIGTERM: end.set, signal.SIGINT: end.set}
    if renew is not None:

        def hang_up() -> None:
            task = loop.create_task(renew())
            renewing.add(task)
            task.add_done_callback(renewing.discard)

        handlers[signal.SIGHUP] = hang_up
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield end
    finally:
        for number, handler_before in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler_before)


async def _renew(service: Service) -> None:
    try:
        _LOG.warning("version %s answers now", await service.use())
    except SNNetError as error:
        _LOG.error("the version of now stays, for the new one cannot be opened: %s", error)
