"""The Open Inference Protocol over gRPC."""

from typing import Any

from snnet.serving.front.asking import Answering, FailedError
from snnet.serving.front.metrics import Metrics
from snnet.serving.front.settings import FrontSettings
from snnet.utils import require


async def start_grpc(
    service: Answering, host: str, port: int, settings: FrontSettings | None = None, metrics: Metrics | None = None
) -> tuple[Any, int]:
    """Start a server of gRPC that asks a service, on the event loop that runs.

    Args:
        service: What answers.
        host: Address to listen at.
        port: Its port; 0 for one that is free.
        settings: What callers may send; the defaults if None.
        metrics: Where requests are counted, shared with other fronts of the service; its own if None.

    Returns:
        The server, a `grpc.aio.Server` (`await server.stop(seconds)` lets calls under way end), and its port.

    Raises:
        FailedError: If the port is taken.
        ExtraError: If packages of the extra `serve` are missing.
    """
    for module in ("grpc", "tritonclient.grpc"):
        require(module, "serve")
    from grpc import aio
    from tritonclient.grpc import service_pb2_grpc

    from snnet.serving.front.grpc_calls import Calls

    settings = settings or FrontSettings()
    # Without the last option two servers share a port, and each gets some of the calls.
    options = {"max_receive_message_length": settings.body_bytes, "max_send_message_length": -1, "so_reuseport": 0}
    server = aio.server(
        options=[(f"grpc.{name}", value) for name, value in options.items()],
        maximum_concurrent_rpcs=settings.grpc_calls,
    )
    calls = Calls(service, settings, metrics or Metrics())
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(calls, server)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError as error:
        raise FailedError(f"gRPC cannot listen at {address} ({error}); give another port, or 0 for any.") from error
    await server.start()
    return server, bound
