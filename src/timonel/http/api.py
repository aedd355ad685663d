"""The control application: its routes, the pages and their guard, joined around an ``App``."""

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.middleware.gzip import GZipMiddleware

from timonel import __version__
from timonel.dashboard.pages import create_pages
from timonel.http import problems
from timonel.http.access.guard import Guard
from timonel.http.access.key_routes import create_key_routes
from timonel.http.alert_routes import create_alert_routes
from timonel.http.docs import create_docs
from timonel.http.event_routes import create_event_routes
from timonel.http.experiments.lists import create_list_routes
from timonel.http.experiments.openfeature import create_openfeature_routes
from timonel.http.experiments.outside import create_outside_routes
from timonel.http.experiments.planning import create_planning_routes
from timonel.http.experiments.rankings import create_ranking_routes
from timonel.http.experiments.routes import create_experiment_routes
from timonel.http.metric_routes import create_metric_routes
from timonel.http.model_routes import create_model_routes
from timonel.http.openapi import complete
from timonel.http.retraining_routes import create_retraining_routes
from timonel.http.state_routes import create_state_routes
from timonel.registry.manifest import decode_manifest
from timonel.serving.protocols.documents import TAGS as PROTOCOL_TAGS
from timonel.serving.routes.cors import Cors

if TYPE_CHECKING:
    from timonel.app import App

_DESCRIPTION = (
    "Models in production as one loop: predictions by models or by their rules, outcomes, "
    "versions and their history. Every error is a problem document with a remedy."
)

_TAGS = [
    {"name": "predict", "description": "Each model's own routes, answered by predict workers."},
    *PROTOCOL_TAGS,
    {"name": "models", "description": "Declared models, their versions and their history."},
    {"name": "predictions", "description": "What was logged, and how good it was."},
    {"name": "experiments", "description": "What is compared, by whom, and what was found."},
    {"name": "jobs", "description": "Work that lasts: retrainings, and what became of them."},
    {"name": "alerts", "description": "What is wrong, who works on it, and what to do."},
    {"name": "metrics", "description": "What the project itself records."},
    {"name": "keys", "description": "Who may ask, and what."},
    {"name": "server", "description": "Where to begin, and how the server is."},
]


def create_api(app: "App", *, behind_worker: bool = False) -> FastAPI:
    """Make the application that the control process serves.

    Parameters
    ----------
    app : App
    behind_worker : bool
        Requests come from a predict worker over a Unix socket, which has asked who may ask.

    Returns
    -------
    FastAPI
        All routes but predict, outcomes and metrics, which the workers answer.
    """
    settings = app.settings
    title = settings.api_title or f"Timonel: {app.name}"
    api = FastAPI(
        title=title,
        version=settings.api_version or __version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        openapi_tags=_TAGS,
    )
    problems.install(api, settings.language)
    for router in (
        create_state_routes(app),
        create_model_routes(app),
        create_event_routes(app),
        create_alert_routes(app),
        create_retraining_routes(app),
        create_experiment_routes(app),
        create_outside_routes(app),
        create_list_routes(app),
        create_ranking_routes(app),
        create_planning_routes(app),
        create_openfeature_routes(app),
        create_metric_routes(app),
        create_key_routes(app),
        create_pages(app),
        create_docs(title),
    ):
        # including a router would make each of its routes once more, at the first request
        api.router.routes.extend(router.routes)

    @api.get("/openapi.json", include_in_schema=False)
    def openapi(request: Request) -> JSONResponse:
        return JSONResponse(describe(api, app, request.scope["root_path"]))

    api.add_middleware(GZipMiddleware, minimum_size=2048)
    api.add_middleware(
        Guard,
        gate=None if behind_worker else app.gate(Cors(settings.cors_origins).origins),
        max_body_bytes=settings.max_body_kb << 10,
        max_file_bytes=settings.max_file_mb << 20,
        language=settings.language,
        root_path=settings.root_path,
        cors_origins=settings.cors_origins,
    )
    return api


def describe(api: FastAPI, app: "App", root_path: str = "") -> dict[str, Any]:
    """Make the OpenAPI document as the models are declared now."""
    document = get_openapi(
        title=api.title,
        version=api.version,
        description=_DESCRIPTION,
        routes=api.routes,
        tags=_TAGS,
        servers=[{"url": root_path}] if root_path else None,
    )
    manifests = [decode_manifest(row.manifest) for row in app.registry.declarations()]
    return complete(document, manifests)
