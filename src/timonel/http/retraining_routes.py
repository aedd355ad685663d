"""Routes of retraining and jobs: start, explain, follow, stop."""

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import BaseModel

from timonel.dashboard.language import choose_language
from timonel.http.access.callers import who_of
from timonel.http.model_routes import require_declared
from timonel.http.parameters import Limit, ModelName, Who
from timonel.jobs.job import Job, JobState
from timonel.retraining.documents import job_document, report_of, step_document

if TYPE_CHECKING:
    from timonel.app import App

Document = dict[str, Any]
JobId = Annotated[str, Path(max_length=64, description="Id of a job.")]


class RetrainingWish(BaseModel):
    """Who asks for a retraining."""

    who: Who = "api"


def create_retraining_routes(app: "App") -> APIRouter:
    """Make the routes of retraining, and those of jobs."""
    router = APIRouter(prefix="/v1")
    _retraining(router, app)
    _jobs(router, app)
    return router


def _retraining(router: APIRouter, app: "App") -> None:
    @router.post(
        "/models/{model}/retrain",
        status_code=202,
        tags=["models"],
        summary="Start a retraining; 409 while one of the model runs",
    )
    def retrain(
        request: Request,
        model: ModelName,
        response: Response,
        body: Annotated[RetrainingWish | None, Body()] = None,
    ) -> Document:
        who = who_of(request, (body or RetrainingWish()).who)
        job = app.retraining.start(model, who=who)
        response.headers["Location"] = f"/v1/jobs/{job.job_id}"
        return job_document(job) | {"links": {"self": f"/v1/jobs/{job.job_id}"}}

    @router.post(
        "/models/{model}/retrain/check",
        tags=["models"],
        summary="Say what a retraining would do now, and why; nothing is started",
    )
    def check(model: ModelName) -> Document:
        return app.retraining.check(model).document()

    @router.get(
        "/models/{model}/retrain",
        tags=["models"],
        summary="List a model's retrainings, newest first, with the last report",
    )
    def retrainings(model: ModelName, request: Request, limit: Limit = 20) -> Document:
        require_declared(app, model)
        jobs = app.retraining.jobs(model, limit)
        lang = _language(request, app)
        reports = (report_of(job, lang) for job in jobs)
        return {
            "retrainings": [job_document(job) for job in jobs],
            "report": next((report for report in reports if report), None),
        }


def _jobs(router: APIRouter, app: "App") -> None:
    @router.get("/jobs", tags=["jobs"], summary="List jobs, newest first")
    def jobs(
        state: Annotated[JobState | None, Query(description="Only those in this state.")] = None,
        model: Annotated[str | None, Query(max_length=64, description="Only of it.")] = None,
        before: Annotated[str | None, Query(max_length=64, description="Last of a page.")] = None,
        limit: Limit = 100,
    ) -> Document:
        found = app.jobs.list(state=state, model=model, before=before, limit=limit)
        return {"jobs": [job_document(job) for job in found], "next": _next(found, limit)}

    @router.get("/jobs/{job_id}", tags=["jobs"], summary="Describe a job, its steps and report")
    def job(job_id: JobId, request: Request) -> Document:
        found = app.jobs.get(job_id)
        steps = [step_document(step) for step in app.jobs.steps(job_id)]
        return job_document(found) | {
            "steps": steps,
            "report": report_of(found, _language(request, app)),
        }

    @router.post("/jobs/{job_id}/cancel", tags=["jobs"], summary="Stop a job")
    def cancel(job_id: JobId) -> Document:
        return job_document(app.jobs.cancel(job_id))


def _next(found: list[Job], limit: int) -> str | None:
    if len(found) < limit:
        return None
    return f"/v1/jobs?{urlencode({'before': found[-1].job_id, 'limit': limit})}"


def _language(request: Request, app: "App") -> str:
    accepted = request.headers.get("accept-language")
    return choose_language(None, None, accepted, app.settings.language)
