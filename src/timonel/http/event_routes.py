"""Routes of what was logged: predictions, outcomes, and how good the answers were."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from timonel.errors import TimonelError
from timonel.events.errors import UnknownOutcome
from timonel.http.access.callers import require_seen, who_of
from timonel.http.documents import outcome_document, performance_document, prediction_document
from timonel.http.errors import NotAnsweredHere, UnknownPrediction
from timonel.http.model_routes import require_declared
from timonel.http.parameters import Limit, ModelName, Who, read_position, write_position
from timonel.jobs.job import Job
from timonel.monitoring.drift.column_series import column_series
from timonel.monitoring.history import (
    Monitor,
    drift_windows,
    recent_verdicts,
    verdict_document,
)
from timonel.monitoring.performance import measure
from timonel.monitoring.performance_windows import performance_history
from timonel.project.model import Policy
from timonel.registry.manifest import decode_manifest
from timonel.retraining.documents import job_document
from timonel.store.engine import reading
from timonel.store.reads import (
    Choice,
    PredictionRow,
    read_outcome,
    read_prediction,
    read_predictions,
)
from timonel.store.reads_windows import HOUR_US, MINUTE_US
from timonel.wire.answer import Source

if TYPE_CHECKING:
    from timonel.app import App

Document = dict[str, Any]
_OF_THE_JOB = ("job_id", "state", "requested_by", "created_at", "finished_at", "error")
Axis = Literal["prediction", "arrival"]
_ROW = {"type": "object", "description": "As for predict: fields of the model's schema."}
_ROWS = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "inputs": {"oneOf": [_ROW, {"type": "array", "items": _ROW, "maxItems": 100}]}
                },
            }
        }
    },
}


class WishedLook(BaseModel):
    """Which rows a classifier is to tell from those of training, and who asks."""

    last: Annotated[int, Field(ge=1, le=1000, description="So many of the last windows.")] = 3
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    who: Who = "api"


def create_event_routes(app: "App") -> APIRouter:
    """Make the routes of predictions, outcomes and performance."""
    router = APIRouter(prefix="/v1", tags=["predictions"])
    _single(router, app)
    _explaining(router, app)
    _of_model(router, app)
    _of_windows(router, app)
    _of_drift(router, app)
    _absent(router)
    return router


def _single(router: APIRouter, app: "App") -> None:
    @router.get("/predictions/{prediction_id}", summary="Look up a prediction and its truth")
    def prediction(request: Request, prediction_id: UUID) -> Document:
        with reading(app.engine) as connection:
            row = read_prediction(connection, app.name, prediction_id)
        if row is None:
            raise UnknownPrediction(prediction_id=str(prediction_id))
        require_seen(request, row.model)
        return prediction_document(row)

    @router.get("/outcomes/{outcome_id}", summary="Tell what became of an outcome")
    def outcome(request: Request, outcome_id: UUID) -> Document:
        with reading(app.engine) as connection:
            row = read_outcome(connection, app.name, outcome_id)
        if row is None:
            raise UnknownOutcome(outcome_id=str(outcome_id))
        require_seen(request, row.model)
        return outcome_document(row)


def _explaining(router: APIRouter, app: "App") -> None:
    @router.get("/predictions/{prediction_id}/explanation", summary="Explain a logged prediction")
    def explanation(request: Request, prediction_id: UUID) -> Document:
        with reading(app.engine) as connection:
            row = read_prediction(connection, app.name, prediction_id)
        if row is None:
            raise UnknownPrediction(prediction_id=str(prediction_id))
        require_seen(request, row.model)
        return app.explanations.explain_logged(row)

    @router.post(
        "/models/{model}/explain",
        summary="Explain what a model answers to rows",
        openapi_extra={"requestBody": _ROWS},
    )
    async def explain(model: ModelName, request: Request) -> Document:
        body = await request.body()
        await run_in_threadpool(require_declared, app, model)
        return await run_in_threadpool(app.explanations.explain, model, body)


def _of_model(router: APIRouter, app: "App") -> None:
    @router.get("/models/{model}/predictions", summary="List a model's predictions, newest first")
    def predictions(
        model: ModelName,
        before: Annotated[str | None, Query(max_length=80, description="Cursor.")] = None,
        version: Annotated[str | None, Query(max_length=32)] = None,
        source: Annotated[Source | None, Query()] = None,
        limit: Limit = 100,
    ) -> Document:
        require_declared(app, model)
        wanted = {"limit": limit, "version": version, "source": source}
        choice = Choice(limit, read_position(before), version, source)
        with reading(app.engine) as connection:
            rows = read_predictions(connection, app.name, model, choice)
        return _page(rows, f"/v1/models/{model}/predictions", wanted)

    @router.get("/models/{model}/performance", summary="Tell how good a model's answers were")
    def performance(
        model: ModelName,
        days: Annotated[int, Query(ge=1, le=90, description="Days back from now.")] = 7,
        by: Annotated[
            Axis, Query(description="Truths of the predictions of that time, or that came in it.")
        ] = "prediction",
    ) -> Document:
        manifest = decode_manifest(require_declared(app, model).manifest)
        now_us = app.clock.now_us()
        span = {"since_us": now_us - days * 24 * HOUR_US, "until_us": now_us + MINUTE_US}
        needed = min_samples(app, model)
        found = measure(
            app.engine,
            app.name,
            model,
            manifest.task,
            n_needed=needed,
            by_arrival=by == "arrival",
            **span,
        )
        return performance_document(found)


def _of_windows(router: APIRouter, app: "App") -> None:
    @router.get(
        "/models/{model}/performance/windows",
        summary="Set what was estimated beside what truths said, window by window",
    )
    def performance_windows(
        model: ModelName,
        limit: Annotated[int, Query(ge=1, le=200, description="The most windows.")] = 24,
    ) -> Document:
        manifest = decode_manifest(require_declared(app, model).manifest)
        needed = manifest.watch.min_labels
        history = performance_history(
            app.engine, app.name, model, manifest.task, n_needed=needed, limit=limit
        )
        return {"model": model, **history.document()}

    @router.get("/models/{model}/windows", summary="List what checks said, newest window first")
    def windows(
        model: ModelName,
        monitor: Annotated[Monitor | None, Query(description="Only this one's.")] = None,
        limit: Limit = 100,
    ) -> Document:
        require_declared(app, model)
        found = recent_verdicts(app.engine, app.name, model, monitor=monitor, limit=limit)
        return {"model": model, "windows": [verdict_document(verdict) for verdict in found]}


def _of_drift(router: APIRouter, app: "App") -> None:
    @router.get("/models/{model}/drift", summary="Tell which columns moved, window by window")
    def drift(
        model: ModelName,
        limit: Annotated[int, Query(ge=1, le=200, description="The most windows.")] = 10,
    ) -> Document:
        require_declared(app, model)
        windows = drift_windows(app.engine, app.name, model, limit)
        return {
            "model": model,
            "state": str(windows[0].whole.state) if windows else "unknown",
            "reason": None if windows else "no_judged_window",
            "windows": [window.document() for window in windows],
        }

    @router.get(
        "/models/{model}/drift/column",
        summary="Follow one column over windows, with the versions that came into production",
    )
    def column(
        model: ModelName,
        name: Annotated[
            str,
            Query(
                min_length=1, max_length=200, description="As in the schema; @score, @prediction."
            ),
        ],
        limit: Annotated[int, Query(ge=1, le=1000, description="The most windows.")] = 50,
    ) -> Document:
        require_declared(app, model)
        found = column_series(app.engine, app.name, app.registry, model, name, limit=limit)
        return found.document()

    @router.post(
        "/models/{model}/drift/multivariate",
        status_code=202,
        summary="Ask a classifier whether rows differ in all columns together; 409 while one runs",
    )
    def look(
        model: ModelName,
        request: Request,
        response: Response,
        body: Annotated[WishedLook | None, Body()] = None,
    ) -> Document:
        wish = body or WishedLook()
        who = who_of(request, wish.who)
        job = app.row_looks.start(model, last=wish.last, seed=wish.seed, who=who)
        response.headers["Location"] = f"/v1/jobs/{job.job_id}"
        return look_document(job)

    @router.get(
        "/models/{model}/drift/multivariate",
        summary="Follow these looks, newest first, and what came of them",
    )
    def looks(model: ModelName, limit: Limit = 20) -> Document:
        require_declared(app, model)
        return {"looks": [look_document(job) for job in app.row_looks.jobs(model, limit)]}


def look_document(job: Job) -> Document:
    """Describe a look: its job, what was asked, and what was found; ``result`` is null before."""
    told, asked = job_document(job), job.payload
    result = job.result if isinstance(job.result, dict) and "state" in job.result else None
    return {
        **{name: told[name] for name in _OF_THE_JOB},
        "model": job.model,
        "version": asked["version"],
        "window_start": _moment(asked["window_start"]),
        "window_end": _moment(asked["window_end"]),
        "seed": asked["seed"],
        "result": None
        if result is None
        else {
            name: value
            for name, value in result.items()
            if name not in ("model", "version", "window_start", "window_end")
        },
        "links": {"self": f"/v1/jobs/{job.job_id}"},
    }


def _moment(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat().replace("+00:00", "Z")


def min_samples(app: "App", model: str) -> int:
    """Give how many labels the model's policy asks for; the default where it cannot be read."""
    try:
        return app.model(model).policy.min_samples
    except TimonelError:
        return Policy().min_samples


def _page(rows: list[PredictionRow], here: str, wanted: dict[str, Any]) -> Document:
    following = None
    if len(rows) == wanted["limit"]:
        query = {"before": write_position(rows[-1].at, rows[-1].prediction_id), **wanted}
        given = {name: value for name, value in query.items() if value is not None}
        following = f"{here}?{urlencode(given)}"
    return {"predictions": [prediction_document(row) for row in rows], "next": following}


def _absent(router: APIRouter) -> None:
    """Say that predict workers answer these, where a request for them comes this far."""

    @router.post("/models/{model}/predict", include_in_schema=False)
    @router.post("/models/{model}/outcomes", include_in_schema=False)
    def not_here(request: Request) -> None:
        raise NotAnsweredHere(path=request.url.path)
