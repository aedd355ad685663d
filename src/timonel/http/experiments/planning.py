"""Routes for before an experiment: how many and how long, and the rules where nothing differs."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Body, Request, Response
from pydantic import BaseModel, Field

from timonel.dashboard.language import choose_language
from timonel.experiments.planning.documents import plan_document, power_chart
from timonel.experiments.replaying.documents import aa_document
from timonel.http.access.callers import who_of
from timonel.http.model_routes import require_declared
from timonel.http.parameters import Limit, ModelName, Who
from timonel.retraining.documents import job_document

if TYPE_CHECKING:
    from timonel.app import App
    from timonel.experiments.replaying.jobs import AaStanding

Document = dict[str, Any]
SVG = "image/svg+xml"
Unit = Annotated[Literal["unit", "request"], Field(description="What counts once.")]
Least = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


class WishedPlan(BaseModel, extra="forbid"):
    """What to plan for; see ``timonel experiment plan --help``."""

    control: Annotated[
        str | None, Field(max_length=32, description="A version or rules; none: what answers.")
    ] = None
    effects: Annotated[
        list[Annotated[float, Field(ge=1e-6, le=1e9)]],
        Field(max_length=20, description="Improvements, absolute: .02 is 2 points."),
    ] = []
    unit: Unit = "unit"
    share: Annotated[float, Field(ge=0.01, le=0.99, description="The treatment's.")] = 0.5
    days: Annotated[float | None, Field(ge=0.05, le=3650, description="With an end.")] = None
    alpha: Annotated[float, Field(ge=1e-6, lt=0.5, description="Of all looks together.")] = 0.05
    power: Annotated[float, Field(ge=0.01, le=0.9999)] = 0.8
    baseline: Annotated[Least | None, Field(description="In the place of the log's.")] = None
    sd: Least | None = None
    per_day: Annotated[float | None, Field(ge=1e-6, le=1e12)] = None
    delay_days: Annotated[float | None, Field(ge=0, le=3650)] = None


class WishedAa(BaseModel, extra="forbid"):
    """How to play an A/A; see ``timonel experiment aa --help``."""

    runs: Annotated[int, Field(ge=1, le=2000, description="Random assignments.")] = 100
    seed: Annotated[int, Field(ge=0, le=2**53)] = 0
    rows: Annotated[int, Field(ge=100, le=10**7, description="About so many answers.")] = 5000
    unit: Unit = "unit"
    alpha: Annotated[float, Field(ge=0.001, le=0.4, description="Of all looks together.")] = 0.05
    who: Who = "api"


def create_planning_routes(app: "App") -> APIRouter:
    """Make the routes of plans and of A/As."""
    router = APIRouter(prefix="/v1", tags=["experiments"])

    @router.post(
        "/models/{model}/experiments/plan",
        summary="Say how many units, how many days; with Accept: image/svg+xml, draw the power",
        response_model=Document,
        responses={200: {"content": {SVG: {"schema": {"type": "string"}}}}},
    )
    def plan(
        model: ModelName, request: Request, body: Annotated[WishedPlan | None, Body()] = None
    ) -> Document | Response:
        wish = (body or WishedPlan()).model_dump()
        by_unit, effects = wish.pop("unit") == "unit", tuple(wish.pop("effects"))
        found = app.planning.plan(model, by_unit=by_unit, effects=effects, **wish)
        lang = _language(request, app)
        if SVG in request.headers.get("accept", ""):
            return Response(power_chart(found, lang), media_type=SVG)
        return plan_document(found, lang)

    @router.post(
        "/models/{model}/experiments/aa",
        status_code=202,
        summary="Play experiments without a difference on the log; 409 while one runs",
    )
    def start_aa(
        model: ModelName,
        request: Request,
        response: Response,
        body: Annotated[WishedAa | None, Body()] = None,
    ) -> Document:
        wish = (body or WishedAa()).model_dump()
        who, by_unit = who_of(request, wish.pop("who")), wish.pop("unit") == "unit"
        made = app.aa_jobs.start(model, by_unit=by_unit, who=who, **wish)
        response.headers["Location"] = f"/v1/jobs/{made.job.job_id}"
        return _aa(made, _language(request, app))

    @router.get(
        "/models/{model}/experiments/aa", summary="Follow a model's A/As, and what came of them"
    )
    def aas(model: ModelName, request: Request, limit: Limit = 20) -> Document:
        require_declared(app, model)
        lang = _language(request, app)
        return {"aa": [_aa(one, lang) for one in app.aa_jobs.list(model, limit)]}

    return router


def _aa(found: "AaStanding", lang: str) -> Document:
    orders, job = found.orders, job_document(found.job)
    asked = {
        "runs": orders.runs,
        "seed": orders.seed,
        "rows": orders.rows,
        "unit": orders.design.unit,
        "alpha": orders.design.alpha,
    }
    result = None if found.result is None else aa_document(found.result, lang)
    return {
        name: job[name]
        for name in ("job_id", "state", "requested_by", "created_at", "finished_at", "error")
    } | {"asked": asked, "progress": round(found.progress, 3), "result": result}


def _language(request: Request, app: "App") -> str:
    accepted = request.headers.get("accept-language")
    return choose_language(None, None, accepted, app.settings.language)
