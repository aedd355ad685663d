"""``/docs`` and ``/redoc`` without a network: their scripts come from an installed wheel."""

from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from timonel.http.errors import UnknownRoute

ASSETS = ("swagger-ui-bundle.js", "swagger-ui.css")
_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
_NO_IMAGE = b"data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22/%3E"
# both put style elements into the page; scripts stay restricted to our own files
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "worker-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
_CACHE = {"Cache-Control": "public, max-age=86400"}
_SWAGGER_START = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""


def create_docs(title: str) -> APIRouter:
    """Make the two pages and the routes of their files."""
    router = APIRouter(include_in_schema=False)
    name = escape(title)

    @router.get("/docs")
    def docs() -> Response:
        return _page(
            name,
            '<link rel="stylesheet" href="docs-assets/swagger-ui.css">',
            '<div id="swagger"></div><script src="docs-assets/swagger-ui-bundle.js"></script>'
            '<script src="docs-assets/start.js"></script>',
        )

    @router.get("/redoc")
    def redoc() -> Response:
        return _page(
            name,
            "",
            '<redoc spec-url="openapi.json" disable-search="true"></redoc>'
            '<script src="docs-assets/redoc.standalone.js"></script>',
        )

    @router.get("/docs-assets/start.js")
    def start() -> Response:
        return Response(_SWAGGER_START, media_type="text/javascript", headers=_CACHE)

    @router.get("/docs-assets/redoc.standalone.js")
    def redoc_script() -> Response:
        return Response(_redoc(), media_type="text/javascript", headers=_CACHE)

    @router.get("/docs-assets/{name}")
    def asset(name: str, request: Request) -> Response:
        if name not in ASSETS:
            raise UnknownRoute(path=request.url.path)
        return FileResponse(_folder() / name, headers=_CACHE)

    return router


@cache
def _folder() -> Path:
    # found without importing the package, which would import more than its files
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise UnknownRoute(path="/docs-assets")
    return Path(spec.origin).parent / "static"


@cache
def _redoc() -> bytes:
    # its foot asks another server for a picture; the words beside it say the same
    script = (_folder() / "redoc.standalone.js").read_bytes()
    return script.replace(_LOGO, _NO_IMAGE)


def _page(title: str, head: str, body: str) -> Response:
    icon = '<link rel="icon" href="ui/static/icon.svg" type="image/svg+xml">'
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{icon}{head}'
        f"</head><body>{body}</body></html>",
        headers={"Content-Security-Policy": POLICY},
    )
