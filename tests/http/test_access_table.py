"""Every route there is stands in the table of needs, and nothing else does."""

import re
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount
from tests.http import world

from timonel.access.routes import ROUTES
from timonel.http.api import create_api
from timonel.serving import application
from timonel.serving.protocols import open_inference, scoring

_BRACKETS = re.compile(r"\[([^]]*)\]")


def control(routes: list[BaseRoute]) -> Iterator[str]:
    for route in routes:
        if isinstance(route, Mount):
            yield f"GET {route.path}/{{}}"
            continue
        nested = getattr(getattr(route, "original_router", None), "routes", None)
        if nested is not None:
            yield from control(nested)
            continue
        assert isinstance(route, APIRoute), route
        for method in (route.methods or set()) - {"HEAD"}:
            yield f"{method} {route.path}"


def expanded(line: str) -> Iterator[str]:
    """Give every form of a line as ``GET /a[/b], /c``."""
    method, _, paths = line.partition(" ")
    for path in paths.split(", "):
        found = _BRACKETS.search(path)
        if found is None:
            yield f"{method} {path}"
            continue
        for part in ("", found[1]):
            yield from expanded(f"{method} {path[: found.start()]}{part}{path[found.end() :]}")


def bare(route: str) -> str:
    """Write names in a path alike: ``{model}``, ``MODEL``."""
    return re.sub(r"\{[^}]*\}|\b[A-Z]+\b(?!\s)", "{}", route)


def test_the_table_has_every_route_and_no_other(busy_app: world.LocalApp) -> None:
    raw = (*application._ROUTES, *open_inference._ROUTES, *scoring._ROUTES)
    found = {bare(route) for line in raw for route in expanded(line)}
    found |= {bare(route) for route in control(create_api(busy_app).routes)}
    listed = {bare(route) for route in ROUTES}
    assert found - listed == set(), "say in timonel.access.routes what these need"
    assert listed - found == set(), "no application has these"


def test_paths_differ_in_more_than_their_names() -> None:
    assert len({bare(route) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if not route.startswith("GET ")], ids=str
)
def test_nothing_changes_by_the_scope_to_read(route: str) -> None:
    reading = {
        "POST /v1/models/{model}/retrain/check",
        "POST /v1/models/{model}/experiments/plan",
        "POST /v2/repository/index",
    }
    assert route in reading or "read" not in ROUTES[route].scopes
