"""The routes of the pages: they choose language and theme, render, and let browsers revalidate."""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined

from timonel import __version__
from timonel.dashboard.language import COOKIE as LANGUAGE_COOKIE
from timonel.dashboard.language import Language, choose_language
from timonel.dashboard.overview import read_overview
from timonel.dashboard.texts import say
from timonel.dashboard.view import overview_words
from timonel.errors import TimonelError
from timonel.wire.problem import status_of

if TYPE_CHECKING:
    from timonel.app import App

THEME_COOKIE = "timonel_theme"
_THEMES = ("light", "dark")
_YEAR_S = 365 * 86_400


def create_pages(app: "App") -> APIRouter:
    """Make the routes under ``/ui``; none of them changes anything."""
    router = APIRouter(include_in_schema=False)

    @router.get("/ui")
    def slash(request: Request) -> Response:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/")

    @router.get("/ui/")
    def overview(request: Request) -> Response:
        return _answer_page(app, request)

    @router.get("/ui/overview")
    def fragment(request: Request) -> Response:
        return _answer_fragment(app, request)

    router.mount("/ui/static", StaticFiles(directory=str(static_folder())), name="static")
    return router


def static_folder() -> Path:
    """Give the folder of style sheet, script and icon."""
    return Path(str(files("timonel.dashboard") / "static"))


def reader_language(app: "App", request: Request) -> Language:
    """Choose the language of an answer to this request."""
    return choose_language(
        request.query_params.get("lang"),
        request.cookies.get(LANGUAGE_COOKIE),
        request.headers.get("accept-language"),
        app.settings.language,
    )


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("timonel.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _answer_page(app: "App", request: Request) -> Response:
    lang = reader_language(app, request)
    template, status, words = _content(app, request, lang)
    theme = request.query_params.get("theme") or request.cookies.get(THEME_COOKIE)
    theme = theme if theme in _THEMES else None
    page = _render("overview.html", lang, body=template, theme=theme, project=app.name, **words)
    answer = HTMLResponse(page, status, {"Cache-Control": "no-store"})
    path = f"{request.scope.get('root_path', '')}/ui"
    for name, cookie, value in (
        ("lang", LANGUAGE_COOKIE, lang),
        ("theme", THEME_COOKIE, theme or "auto"),
    ):
        if name in request.query_params:
            answer.set_cookie(
                cookie, value, max_age=_YEAR_S, path=path, httponly=True, samesite="lax"
            )
    return answer


def _answer_fragment(app: "App", request: Request) -> Response:
    lang = reader_language(app, request)
    template, status, words = _content(app, request, lang)
    body = _render(template, lang, **words)
    etag = f'"{sha256(body.encode()).hexdigest()[:24]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Language, Cookie"}
    if status == 200 and request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(body, status, headers)


def _content(app: "App", request: Request, lang: Language) -> tuple[str, int, dict[str, Any]]:
    try:
        view = read_overview(app)
    except TimonelError as error:
        return "failed.html", status_of(error), {"error": error}
    base_url = app.settings.public_url or str(request.base_url)
    return "body.html", 200, overview_words(view, lang, base_url.rstrip("/"))


def _render(template: str, lang: Language, **words: Any) -> str:
    def translate(key: str, **fields: Any) -> str:
        return say(lang, key, **fields)

    return (
        _templates()
        .get_template(template)
        .render(t=translate, lang=lang, version=__version__, **words)
    )
