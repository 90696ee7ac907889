# Tested in tests/cli/test_serve.py.
"""What an operator asks of a service, on an address of its own."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from snnet.errors import SNNetError
from snnet.serving.service import Service

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

_SLO, _SOURCE = '{"slo_ms": MILLISECONDS}', '{"source": DIRECTORY}, or {} to open the same one anew'


def administration(service: Service) -> "FastAPI":
    """Return a web application: `GET /status`, `POST /slo` and `POST /version`.

    Args:
        service: What is asked.
    """
    from fastapi import FastAPI, Request

    app = FastAPI(title=f"Administration of {service.name}", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/status")
    async def status() -> dict[str, Any]:
        return _status(service)

    @app.post("/slo", response_model=None)
    async def slo(request: Request) -> "Response":
        async def work(slo_ms: float | None) -> dict[str, Any]:
            if slo_ms is not None:
                await service.set_slo(slo_ms)
            return {"slo_ms": service.slo_ms}

        return await _told(request, "slo_ms", (int, float), _SLO, work)

    @app.post("/version", response_model=None)
    async def version(request: Request) -> "Response":
        async def work(source: str | None) -> dict[str, Any]:
            return {"version": await service.use(source)}

        return await _told(request, "source", (str,), _SOURCE, work)

    return app


def _status(service: Service) -> dict[str, Any]:
    attainment, accuracy = service.attainment(), service.history.served_accuracy(60)
    return {
        "model": service.name,
        "version": service.version,
        "ready": service.ready,
        "slo_ms": service.slo_ms,
        "queue_length": service.queue_length(),
        "attainment": attainment if attainment == attainment else None,
        "served_accuracy": accuracy if accuracy == accuracy else None,
        "latency_factor": service.dispatcher.scheduler.options.factor,
    }


async def _told(
    request: "Request", name: str, kinds: tuple[type, ...], accepted: str, work: Callable[[Any], Awaitable[Any]]
) -> "Response":
    """Answer what comes of the one value that a request may name."""
    from fastapi.responses import JSONResponse

    # No page in a browser can send this without asking first.
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return JSONResponse({"error": "The content-type must be application/json."}, 415)
    try:
        wanted = await request.json()
    except ValueError:
        wanted = None
    known = isinstance(wanted, dict) and not wanted.keys() - {name}
    given = wanted.get(name) if known else None
    if not known or (given is not None and type(given) not in kinds):
        return JSONResponse({"error": f"accepted: {accepted}"}, 400)
    try:
        return JSONResponse(await work(given))
    except SNNetError as error:
        return JSONResponse({"error": str(error)}, 400)
