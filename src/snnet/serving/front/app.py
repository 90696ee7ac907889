"""The web application of a service: the Open Inference Protocol, pictures, metrics and health."""

from typing import TYPE_CHECKING

from snnet.serving.front.asking import Answering
from snnet.serving.front.metrics import Metrics
from snnet.serving.front.settings import FrontSettings
from snnet.utils import require

if TYPE_CHECKING:
    from fastapi import FastAPI


def build_app(service: Answering, settings: FrontSettings | None = None, metrics: Metrics | None = None) -> "FastAPI":
    """Return a web application that asks a service.

    It offers the Open Inference Protocol below `/v2`, `POST /classify` for pictures, or `POST
    /segment` where there is an answer for each pixel, `/metrics` for Prometheus, and
    says what all of it takes at `/openapi.json`.

    Args:
        service: What answers.
        settings: What callers may send; the defaults if None.
        metrics: Where requests are counted, shared with other fronts of the service; its own if None.

    Returns:
        An application that any ASGI server runs, such as uvicorn.

    Raises:
        ExtraError: If packages of the extra `serve` are missing.
    """
    for module in ("fastapi", "python_multipart"):
        require(module, "serve")
    from snnet.serving.front.routes import application

    return application(service, settings or FrontSettings(), metrics or Metrics())
