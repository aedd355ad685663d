"""Routes of the server itself: where to begin, and how it is."""

from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from timonel import __version__
from timonel.errors import TimonelError
from timonel.http.access.callers import caller_document, caller_of
from timonel.http.documents import health_document
from timonel.monitoring.health import Health, State, check_health

if TYPE_CHECKING:
    from timonel.app import App

Document = dict[str, Any]


def create_state_routes(app: "App") -> APIRouter:
    """Make the routes ``/``, ``/v1`` and the three questions of health."""
    router = APIRouter(tags=["server"])

    @router.get("/", summary="Where to begin; a browser is sent to the pages")
    def root(request: Request) -> Response:
        if _prefers_html(request.headers.get("accept", "")):
            return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/", 303)
        return _json(_information(app))

    @router.get("/v1", summary="What this server is, and its links")
    def information() -> Document:
        return _information(app)

    @router.get("/v1/caller", summary="Who asks, by the key that was shown, and what they may")
    def caller(request: Request) -> Document:
        return caller_document(caller_of(request))

    @router.get("/health", summary="The full state, each dimension with its reason")
    def health() -> Response:
        found = look(app)
        status = 503 if found.state is State.UNHEALTHY else 200
        return _json(health_document(found), status)

    @router.get("/livez", summary="Whether the process runs")
    def livez() -> Document:
        return {"status": "alive"}

    @router.get("/readyz", summary="Whether the process can answer")
    def readyz() -> Document:
        app.clock.now_us()  # reads the database; its failure is the answer
        return {"status": "ready"}

    return router


def look(app: "App") -> Health:
    """Check the health; a clock that cannot be read is a database that cannot."""
    try:
        clock = app.clock
    except TimonelError:
        clock = None
    return check_health(app.engine, app.name, clock)


def _information(app: "App") -> Document:
    return {
        "name": "timonel",
        "project": app.name,
        "version": __version__,
        "links": {
            "models": "/v1/models",
            "health": "/health",
            "openapi": "/openapi.json",
            "docs": "/docs",
            "pages": "/ui/",
        },
    }


def _prefers_html(accept: str) -> bool:
    html, json = accept.find("text/html"), accept.find("application/json")
    return html >= 0 and (json < 0 or html < json)


def _json(document: Document, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")
