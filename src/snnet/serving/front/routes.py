# Tested in tests/serving/front/test_app.py.
"""The routes of the web application, and how it says what went wrong."""

import logging
import math
from contextlib import suppress
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from snnet.errors import SNNetError
from snnet.serving.front import documents as told
from snnet.serving.front.asking import Answering, RefusedError
from snnet.serving.front.bodies import Bodies
from snnet.serving.front.callers import Caller
from snnet.serving.front.faults import DeniedError, TooLargeError, TooSlowError, is_bearer, message_of, status_of
from snnet.serving.front.live import Watchable, add_page
from snnet.serving.front.looking import add_pictures
from snnet.serving.front.metrics import Metrics
from snnet.serving.front.protocol import (
    HEADER_LENGTH,
    check_model,
    model_metadata,
    read_request,
    server_metadata,
    write_answer,
)
from snnet.serving.front.settings import FrontSettings

_log = logging.getLogger(__name__)
_OPEN = ("/", "/v2/health/live", "/v2/health/ready")


def application(service: Answering, settings: FrontSettings, metrics: Metrics) -> FastAPI:
    """Return the web application of a service, as `build_app` does.

    Args:
        service: What answers.
        settings: What callers may send.
        metrics: Where requests are counted.
    """
    # The pages that FastAPI offers load from elsewhere, and are blank offline.
    app = FastAPI(title=f"snnet: {service.name}", version=service.version, docs_url=None, redoc_url=None)
    _add_health(app, service)
    _add_models(app, service)
    bodies = Bodies(settings)
    _add_infer(app, service, settings, metrics, bodies)
    add_pictures(app, service, settings, metrics, bodies)
    answers = told.responses(None, 401, content={"text/plain": {"type": "string"}})

    @app.get("/metrics", response_class=Response, responses=answers)
    async def read_metrics() -> Response:
        text, kind = metrics.text()
        return Response(text, headers={"Content-Type": kind})

    if isinstance(service, Watchable):
        add_page(app, service)
    app.add_exception_handler(SNNetError, _told)
    app.add_exception_handler(Exception, _told)
    app.add_exception_handler(HTTPException, _not_routed)
    if settings.token is not None:
        app.add_middleware(_Guard, token=settings.token.get_secret_value(), metrics=metrics)
        app.openapi = lambda: _guarded(app)  # type: ignore[method-assign]
    return app


def _add_health(app: FastAPI, service: Answering) -> None:
    @app.get("/v2/health/live", responses=told.responses(told.Live))
    async def live() -> Response:
        return JSONResponse({"live": True})

    @app.get("/v2/health/ready", responses=told.responses(told.Ready) | {503: {"model": told.Ready}})
    async def ready() -> Response:
        return JSONResponse({"ready": service.ready}, 200 if service.ready else 503)

    # The protocol's description has the second, its text the first; not every client follows from one to the other.
    @app.get("/v2", responses=told.responses(told.Server, 401))
    @app.get("/v2/", include_in_schema=False)
    async def server() -> Response:
        return JSONResponse(server_metadata())


def _add_models(app: FastAPI, service: Answering) -> None:
    for place, extra in _places():

        @app.get(place, responses=told.responses(told.Model, 401, 404), openapi_extra=extra)
        async def model(request: Request) -> Response:
            _check_model(service, request)
            return JSONResponse(model_metadata(service))

        answers = told.responses(told.ModelReady, 401, 404) | {503: {"model": told.ModelReady}}

        @app.get(f"{place}/ready", responses=answers, openapi_extra=extra)
        async def model_ready(request: Request) -> Response:
            _check_model(service, request)
            return JSONResponse({"name": service.name, "ready": service.ready}, 200 if service.ready else 503)


def _add_infer(app: FastAPI, service: Answering, settings: FrontSettings, metrics: Metrics, bodies: Bodies) -> None:
    async def infer(request: Request) -> Response:
        with metrics.call() as call:
            _check_model(service, request)
            body = await bodies.read(request, settings.body_bytes)
            wanted = read_request(body, request.headers.get(HEADER_LENGTH), service, settings.json_bytes)
            del body  # the images are a copy, and may wait
            with Caller(request):
                answered = await call.ask(service, wanted.asked)
            content, headers = write_answer(service, wanted.asked, answered, wanted.binary)
            return Response(content, headers=headers)

    answers = told.responses(
        told.Inferred, *told.ASKING, content={"application/octet-stream": {"type": "string", "format": "binary"}}
    )
    for place, extra in _places():
        extra = {**extra, **told.infer_body(service)}
        app.post(f"{place}/infer", responses=answers, openapi_extra=extra)(infer)


def _places() -> list[tuple[str, dict[str, Any]]]:
    """Return the paths of a model, with what is said of their parameters."""
    place = "/v2/models/{name}"
    return [
        (place, told.path_parameters("name")),
        (f"{place}/versions/{{version}}", told.path_parameters("name", "version")),
    ]


def _check_model(service: Answering, request: Request) -> None:
    check_model(service, request.path_params["name"], request.path_params.get("version", ""))


async def _told(request: Request, error: Exception) -> Response:
    """Answer what went wrong."""
    status = status_of(error)
    if status.http == 500:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    headers = {}
    if isinstance(error, RefusedError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, TooLargeError | TooSlowError):
        headers["Connection"] = "close"  # the rest of the body is not read
    return JSONResponse({"error": message_of(error)}, status.http, headers)


async def _not_routed(request: Request, error: Exception) -> Response:
    """Answer what fits no route."""
    assert isinstance(error, HTTPException)
    message = f"{error.detail}: {request.method} {request.url.path}; /openapi.json lists what there is."
    return JSONResponse({"error": message}, error.status_code, error.headers)


class _Guard:
    """Lets through who sends the token, and who asks for health."""

    def __init__(self, app: ASGIApp, token: str, metrics: Metrics) -> None:
        self._app, self._token, self._metrics = app, token.encode(), metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _place(scope) in _OPEN or self._is_let_in(scope):
            await self._app(scope, receive, send)
            return
        error = DeniedError("This service asks for a token; send it as 'Authorization: Bearer TOKEN'.")
        if scope["method"] == "POST":  # what asks for an answer; others are not counted either
            with suppress(DeniedError), self._metrics.call():
                raise error
        await JSONResponse({"error": str(error)}, 401, {"WWW-Authenticate": "Bearer"})(scope, receive, send)

    def _is_let_in(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return is_bearer(given, self._token)


def _place(scope: Scope) -> str:
    """Return the path of a request below where the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _guarded(app: FastAPI) -> dict[str, Any]:
    """Return the description of an application that asks for a token."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for place, methods in schema["paths"].items():
            for operation in methods.values():
                operation["security"] = [] if place in _OPEN else [{"token": []}]
        app.openapi_schema = schema
    return app.openapi_schema
