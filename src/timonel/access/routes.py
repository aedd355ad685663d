"""What each route needs: the one table for raw routes, control routes and pages.

A route that is not in it is answered to admins and local callers alone, and fails a test. ``HEAD``
is ``GET``.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from timonel.access.callers import Scope

READ, RECORDS, PREDICT = Scope.READ, Scope.RECORDS, Scope.PREDICT
OUTCOMES, OPERATE, ADMINISTER = Scope.OUTCOMES, Scope.OPERATE, Scope.ADMINISTER


class Subject(StrEnum):
    """Which models a route tells of, for keys that are for some only."""

    NONE = "none"
    NAMED = "named"  # the one in its path
    FOUND = "found"  # known to the route alone, which asks
    ALL = "all"


class Need(NamedTuple):
    """What a route asks of its caller: any one of these scopes; none at all: it is open."""

    scopes: frozenset[Scope]
    subject: Subject
    shown: tuple[Scope, ...]  # in the table's order: the first is named to who has none
    files: bool = False  # it takes a CSV file too, of up to `max_file_mb`


def _need(subject: Subject, *scopes: Scope, files: bool = False) -> Need:
    return Need(frozenset(scopes), subject, scopes, files)


OPEN = _need(Subject.NONE)
_ANY_KEY = _need(Subject.NONE, *Scope)
_READS = _need(Subject.NAMED, READ)
_READS_ALL = _need(Subject.ALL, READ)
_ASKS = _need(Subject.NAMED, READ, PREDICT)
_PREDICTS = _need(Subject.NAMED, PREDICT)
_OPERATES = _need(Subject.NAMED, OPERATE)
_OPERATES_ALL = _need(Subject.ALL, OPERATE)
_KEYS = _need(Subject.ALL, ADMINISTER)

ROUTES: dict[str, Need] = {
    # balancers and probes have no key: these say no more than whether this server lives
    "GET /livez": OPEN,
    "GET /readyz": OPEN,
    "GET /ping": OPEN,
    "GET /v2/health/live": OPEN,
    "GET /v2/health/ready": OPEN,
    # asking models
    "POST /v1/models/{model}/predict": _PREDICTS,
    "POST /v1/models/{model}/predict/{entity...}": _PREDICTS,
    "POST /v1/models/{model}/predictions": _PREDICTS,  # made elsewhere, for the log
    "POST /v1/models/{model}/explain": _PREDICTS,
    "POST /v1/models/{model}/outcomes": _need(Subject.NAMED, OUTCOMES),
    "GET /v1/outcomes/{id}": _need(Subject.FOUND, OUTCOMES, RECORDS),
    "POST /invocations": _need(Subject.FOUND, PREDICT),
    "POST /invocations/{model}": _PREDICTS,
    "GET /version": _ANY_KEY,
    "GET /v2": _ANY_KEY,
    "GET /v2/models/{model}": _ASKS,
    "GET /v2/models/{model}/ready": _ASKS,
    "GET /v2/models/{model}/versions/{version}": _ASKS,
    "GET /v2/models/{model}/versions/{version}/ready": _ASKS,
    "POST /v2/models/{model}/infer": _PREDICTS,
    "POST /v2/models/{model}/versions/{version}/infer": _PREDICTS,
    "POST /v2/repository/index": _need(Subject.FOUND, READ, PREDICT),
    "POST /v2/repository/models/{model}/load": _OPERATES,
    "POST /v2/repository/models/{model}/unload": _OPERATES,
    # models, versions, and what was logged
    "GET /v1/models": _need(Subject.FOUND, READ, PREDICT),
    "GET /v1/models/{model}": _ASKS,
    "GET /v1/models/{model}/rules": _ASKS,  # clients answer by them while the server is away
    "GET /v1/models/{model}/versions": _READS,
    "GET /v1/models/{model}/versions/{version}": _READS,
    "GET /v1/models/{model}/production": _READS,
    "GET /v1/models/{model}/history": _READS,
    "GET /v1/models/{model}/compare": _READS,
    "GET /v1/models/{model}/performance": _READS,
    "GET /v1/models/{model}/performance/windows": _READS,
    "GET /v1/models/{model}/drift": _READS,
    "GET /v1/models/{model}/drift/column": _READS,
    "GET /v1/models/{model}/drift/multivariate": _READS,
    "POST /v1/models/{model}/drift/multivariate": _OPERATES,  # it reads rows and the source
    "GET /v1/models/{model}/windows": _READS,
    "GET /v1/models/{model}/retrain": _READS,
    "GET /v1/models/{model}/predictions": _need(Subject.NAMED, RECORDS),
    "GET /v1/predictions/{id}": _need(Subject.FOUND, RECORDS),
    "GET /v1/predictions/{id}/explanation": _need(Subject.FOUND, RECORDS),
    "POST /v1/models/{model}/versions/{version}/promote": _OPERATES,
    "POST /v1/models/{model}/versions/{version}/archive": _OPERATES,
    "POST /v1/models/{model}/rollback": _OPERATES,
    "POST /v1/models/{model}/retrain": _OPERATES,
    "POST /v1/models/{model}/retrain/check": _READS,
    "POST /v1/models/{model}/experiments": _OPERATES,
    "POST /v1/models/{model}/experiments/plan": _READS,
    "POST /v1/models/{model}/experiments/aa": _OPERATES,  # it works for minutes
    "GET /v1/models/{model}/experiments/aa": _READS,
    # what concerns all models
    "GET /v1/experiments": _READS_ALL,
    "GET /v1/experiments/{name}": _READS_ALL,
    "GET /v1/experiments/{name}/report": _READS_ALL,
    "GET /v1/experiments/{name}/replay": _READS_ALL,
    "POST /v1/experiments/{name}/replay": _OPERATES_ALL,  # it reads the whole log
    "POST /v1/experiments/{name}/start": _OPERATES_ALL,
    "POST /v1/experiments/{name}/pause": _OPERATES_ALL,
    "POST /v1/experiments/{name}/resume": _OPERATES_ALL,
    "POST /v1/experiments/{name}/stop": _OPERATES_ALL,
    "POST /v1/experiments/{name}/share": _OPERATES_ALL,
    "POST /v1/experiments/{name}/assign": _need(Subject.FOUND, PREDICT),
    "POST /v1/experiments/{name}/outcomes": _need(Subject.FOUND, OUTCOMES),
    "POST /v1/experiments/{name}/interleave": _need(Subject.FOUND, PREDICT),
    "POST /v1/experiments/{name}/clicks": _need(Subject.FOUND, OUTCOMES),
    "POST /v1/experiments/{name}/units": _need(Subject.FOUND, OPERATE, files=True),
    "GET /v1/experiments/{name}/units": _need(Subject.FOUND, RECORDS),  # unit by unit
    "POST /v1/experiments/{name}/record": _need(Subject.FOUND, OUTCOMES, files=True),
    "POST /ofrep/v1/evaluate/flags": _need(Subject.FOUND, PREDICT),
    "POST /ofrep/v1/evaluate/flags/{name}": _need(Subject.FOUND, PREDICT),
    "POST /v1/experiments/{name}/look": _OPERATES_ALL,  # it is kept, and spends of the error
    "GET /v1/jobs": _READS_ALL,
    "GET /v1/jobs/{id}": _READS_ALL,
    "POST /v1/jobs/{id}/cancel": _OPERATES_ALL,
    "GET /v1/alerts": _READS_ALL,
    "GET /v1/alerts/statistics": _READS_ALL,
    "GET /v1/alerts/{id}": _READS_ALL,
    "POST /v1/alerts/{id}/acknowledge": _OPERATES_ALL,
    "POST /v1/alerts/{id}/resolve": _OPERATES_ALL,
    "POST /v1/alerts/{id}/silence": _OPERATES_ALL,
    "POST /v1/alerts/{id}/mark": _OPERATES_ALL,
    "GET /v1/metrics": _READS_ALL,
    "GET /v1/metrics/{name}": _READS_ALL,
    "GET /health": _READS_ALL,
    "GET /metrics": _READS_ALL,
    "GET /ui": _READS_ALL,
    "GET /ui/": _READS_ALL,
    "GET /ui/overview": _READS_ALL,
    # keys
    "GET /v1/keys": _KEYS,
    "POST /v1/keys": _KEYS,
    "POST /v1/keys/{name}/revoke": _KEYS,
    # what the server is, and its documentation
    "GET /": _ANY_KEY,
    "GET /v1": _ANY_KEY,
    "GET /v1/caller": _ANY_KEY,
    "GET /openapi.json": _ANY_KEY,
    "GET /docs": _ANY_KEY,
    "GET /redoc": _ANY_KEY,
    "GET /docs-assets/start.js": _ANY_KEY,
    "GET /docs-assets/redoc.standalone.js": _ANY_KEY,
    "GET /docs-assets/{file}": _ANY_KEY,
    "GET /ui/static/{file...}": _ANY_KEY,
}


class Found(NamedTuple):
    """The route of a request.

    Parameters
    ----------
    need : Need or None
        None: no route has this path, or none by this method.
    model : str or None
        The model that its path names.
    methods : tuple of str
        Those that routes of this path have; empty: there is no such path.
    """

    need: Need | None
    model: str | None
    methods: tuple[str, ...]


@lru_cache(2048)
def find(method: str, path: str) -> Found:
    """Find the route of a request; kept for the paths that are asked most.

    Parameters
    ----------
    method : str
    path : str
        Decoded, below the server's root path.
    """
    node: dict[str | int, Any] = _TREE
    model = None
    for part in path.split("/")[1:]:
        following: dict[str | int, Any] | None = node.get(part)
        if following is None and part and _VALUE in node:
            name, following = node[_VALUE]
            if name == "model":
                model = part
            elif name.endswith("..."):
                node = node[_VALUE][1]
                break
        if following is None:
            return Found(None, None, ())
        node = following
    methods: dict[str, Need] = node.get(_METHODS, {})
    need = methods.get("GET" if method == "HEAD" else method)
    return Found(need, model, tuple(sorted(methods)))


def below_root(path: str, root: str) -> str:
    """Take off the path under which a proxy shows this server, where a request still has it."""
    if not root or not path.startswith(root):
        return path
    rest = path[len(root) :]
    return path if rest and rest[0] != "/" else rest or "/"


_VALUE, _METHODS = 0, 1  # numbers: no part of a path is one


def _tree() -> dict[str | int, Any]:
    root: dict[str | int, Any] = {}
    for method, path, need in listed():
        node = root
        for part in path.split("/")[1:]:
            if part.startswith("{"):
                _, node = node.setdefault(_VALUE, (part[1:-1], {}))
            else:
                node = node.setdefault(part, {})
        node.setdefault(_METHODS, {})[method] = need
    return root


def listed() -> Iterator[tuple[str, str, Need]]:
    """Give every route: its method, its path with ``{names}``, and its need."""
    for route, need in ROUTES.items():
        method, _, path = route.partition(" ")
        yield method, path, need


_TREE = _tree()
