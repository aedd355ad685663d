"""Routes of models and versions: what there is, what serves, how it came so, and changing it."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Query, Request

from timonel.http.access.callers import caller_of, who_of
from timonel.http.documents import declaration_document, transition_document
from timonel.http.errors import NoRules, NotInProduction
from timonel.http.parameters import Decision, Limit, ModelName, Rollback, VersionName
from timonel.registry.catalogue import Declaration, ModelVersion
from timonel.registry.errors import UnknownModel
from timonel.registry.manifest import decode_manifest
from timonel.registry.versions import Stage

if TYPE_CHECKING:
    from timonel.app import App

Document = dict[str, Any]


def create_model_routes(app: "App") -> APIRouter:
    """Make the routes under ``/v1/models`` that concern the registry."""
    router = APIRouter(prefix="/v1/models", tags=["models"])
    _declared(router, app)
    _versions(router, app)
    _changing(router, app)
    return router


def require_declared(app: "App", model: str) -> Declaration:
    """Give a model's declaration; an unknown name lists the known ones."""
    declared = {row.model: row for row in app.registry.declarations()}
    if model not in declared:
        raise UnknownModel(model=model, known=sorted(declared))
    return declared[model]


def _model_document(app: "App", declared: Declaration) -> Document:
    stages = Counter(str(version.stage) for version in app.registry.versions(declared.model))
    return declaration_document(declared, app.registry.champion(declared.model), dict(stages))


def _declared(router: APIRouter, app: "App") -> None:
    @router.get("", summary="List the declared models")
    def models(request: Request) -> Document:
        caller = caller_of(request)
        rows = [row for row in app.registry.declarations() if caller.sees(row.model)]
        return {"models": [_model_document(app, row) for row in rows]}

    @router.get("/{model}", summary="Describe a model: schema, example, champion")
    def model(model: ModelName) -> Document:
        return _model_document(app, require_declared(app, model))

    @router.get("/{model}/rules", summary="Give the source of the rules that stand in for a model")
    def rules(model: ModelName) -> Document:
        declared = require_declared(app, model)
        found = decode_manifest(declared.manifest).rules
        if found is None:
            raise NoRules(model=model)
        return {"model": model, "function": found.function, "source": found.source}


def _versions(router: APIRouter, app: "App") -> None:
    @router.get("/{model}/versions", summary="List a model's versions, newest first")
    def versions(
        model: ModelName,
        stage: Annotated[Stage | None, Query(description="Only those in this stage.")] = None,
        after: Annotated[str | None, Query(max_length=32, description="Last of a page.")] = None,
        limit: Limit = 100,
    ) -> Document:
        require_declared(app, model)
        last = app.registry.get(model, after) if after is not None else None
        found = app.registry.versions(model, stage, after=last, limit=limit)
        return _page_of_versions(model, found, stage, limit)

    @router.get("/{model}/versions/{version}", summary="Describe a version")
    def version(model: ModelName, version: VersionName) -> Document:
        return app.registry.get(model, version).document()

    @router.get("/{model}/production", summary="Describe the version in production")
    def production(model: ModelName) -> Document:
        require_declared(app, model)
        champion = app.registry.champion(model)
        if champion is None:
            raise NotInProduction(model=model)
        return champion.document()

    @router.get("/{model}/history", summary="List a model's transitions, oldest first")
    def history(
        model: ModelName,
        after: Annotated[int, Query(ge=0, le=2**62, description="Last `seq` of a page.")] = 0,
        limit: Limit = 100,
    ) -> Document:
        require_declared(app, model)
        rows = app.registry.history(model, after=after, limit=limit)
        query = urlencode({"after": rows[-1].seq, "limit": limit}) if len(rows) == limit else None
        here = f"/v1/models/{model}/history"
        return {
            "history": [transition_document(row) for row in rows],
            "next": f"{here}?{query}" if query else None,
        }

    @router.get("/{model}/compare", summary="Set two versions side by side")
    def compare(
        model: ModelName,
        a: Annotated[str, Query(max_length=32, description="A version or alias.")],
        b: Annotated[str, Query(max_length=32, description="A version or alias.")],
    ) -> Document:
        return app.registry.compare(model, a, b).document()


def _page_of_versions(
    model: str, found: list[ModelVersion], stage: Stage | None, limit: int
) -> Document:
    following = None
    if len(found) == limit:
        query = {"after": found[-1].version, "limit": limit, "stage": stage}
        given = {name: value for name, value in query.items() if value is not None}
        following = f"/v1/models/{model}/versions?{urlencode(given)}"
    return {"versions": [version.document() for version in found], "next": following}


def _changing(router: APIRouter, app: "App") -> None:
    def done(version: ModelVersion) -> Document:
        n_current, n_live = app.await_generation(5.0)
        return version.document() | {"reload": {"n_current": n_current, "n_live": n_live}}

    @router.post("/{model}/versions/{version}/promote", summary="Put a version into production")
    def promote(
        request: Request, model: ModelName, version: VersionName, body: Annotated[Decision, Body()]
    ) -> Any:
        who = who_of(request, body.who)
        return done(app.registry.promote(model, version, who=who, reason=body.reason))

    @router.post("/{model}/rollback", summary="Go back to the previous or a named version")
    def rollback(request: Request, model: ModelName, body: Annotated[Rollback, Body()]) -> Any:
        who = who_of(request, body.who)
        return done(app.registry.roll_back(model, who=who, reason=body.reason, to=body.to))

    @router.post("/{model}/versions/{version}/archive", summary="Put a version away")
    def archive(
        request: Request, model: ModelName, version: VersionName, body: Annotated[Decision, Body()]
    ) -> Any:
        who = who_of(request, body.who)
        return done(app.registry.archive(model, version, who=who, reason=body.reason))
