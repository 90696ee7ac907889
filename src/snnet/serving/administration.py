# Tested in tests/cli/test_serve.py.
"""What an operator asks of a service, on an address of its own."""

from typing import TYPE_CHECKING, Any

from snnet.errors import SNNetError
from snnet.serving.service import Service

if TYPE_CHECKING:
    from fastapi import FastAPI


def administration(service: Service) -> "FastAPI":
    """Return a web application: `GET /status`, and `POST /version` with `{"source": DIRECTORY}` or `{}`.

    Args:
        service: What is asked.
    """
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse

    app = FastAPI(title=f"Administration of {service.name}", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/status")
    async def status() -> dict[str, Any]:
        attainment, accuracy = service.attainment(), service.history.served_accuracy(60)
        return {
            "model": service.name,
            "version": service.version,
            "ready": service.ready,
            "queue_length": service.queue_length(),
            "attainment": attainment if attainment == attainment else None,
            "served_accuracy": accuracy if accuracy == accuracy else None,
            "latency_factor": service.dispatcher.scheduler.options.factor,
        }

    @app.post("/version")
    async def version(request: Request) -> JSONResponse:
        # No page in a browser can send this without asking first.
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return JSONResponse({"error": "The content-type must be application/json."}, 415)
        try:
            wanted = await request.json()
        except ValueError:
            wanted = None
        source = wanted.get("source") if isinstance(wanted, dict) else 0
        if source is not None and not isinstance(source, str):
            return JSONResponse({"error": 'accepted: {"source": DIRECTORY}, or {} to open the same one anew'}, 400)
        try:
            return JSONResponse({"version": await service.use(source)})
        except SNNetError as error:
            return JSONResponse({"error": str(error)}, 400)

    return app
