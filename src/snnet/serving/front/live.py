"""The page of a service, and the numbers that it shows."""

from importlib.resources import files
from typing import Any, Protocol, runtime_checkable

from fastapi import FastAPI
from starlette.responses import HTMLResponse, JSONResponse, Response

_POLICY = "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' blob: data:"


@runtime_checkable
class Watchable(Protocol):
    """A service that tells what it does."""

    def live(self) -> dict[str, Any]:
        """Return plain data for JSON: load, queue, attainment, served accuracy, stitches, and the last two minutes."""
        ...


def add_page(app: FastAPI, service: Watchable) -> None:
    """Let an application show what its service does: `GET /` and `GET /live`.

    Args:
        app: The application.
        service: What is shown.
    """
    text = (files("snnet.serving.front") / "page.html").read_text(encoding="utf-8")

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> Response:
        return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY})

    @app.get("/live", include_in_schema=False)
    async def live() -> Response:
        return JSONResponse(service.live(), headers={"Cache-Control": "no-store"})
