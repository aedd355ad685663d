"""Routes of experiments: create, start, pause, resume, stop, shares, looks."""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import BaseModel, Field

from timonel.dashboard.language import choose_language
from timonel.experiments.design import State
from timonel.experiments.documents import answered_document, experiment_document, look_document
from timonel.experiments.replaying.documents import replay_document
from timonel.experiments.reporting.markdown import markdown
from timonel.experiments.wishes import Wish
from timonel.http.access.callers import who_of
from timonel.http.parameters import ModelName, Note, Who

if TYPE_CHECKING:
    from timonel.app import App

Document = dict[str, Any]
Name = Annotated[str, Path(max_length=64, description="Name of an experiment.")]
Text = Annotated[str, Field(max_length=64)]
Newest = Annotated[int, Query(ge=1, le=10_000, description="So many of the newest looks.")]


class NewExperiment(BaseModel, extra="forbid"):
    """What is compared, and how; see ``timonel experiment create --help``."""

    name: Text
    control: Annotated[
        str, Field(max_length=32, description="A version, rules or external; none: external.")
    ] = ""
    treatment: Annotated[
        str, Field(max_length=32, description="A version, rules or external; none: external.")
    ] = ""
    mode: Annotated[
        str, Field(max_length=16, description="split, ramp, shadow, outside, interleave.")
    ] = "split"
    strategy: Annotated[str | None, Field(max_length=32)] = None
    share: Annotated[float, Field(ge=0, le=1, description="The treatment's.")] = 0.5
    unit: Annotated[str | None, Field(max_length=16, description="unit, request, block.")] = None
    block_h: Annotated[
        float | None, Field(gt=0, le=1000, description="With TIME_BASED; none: 1.")
    ] = None
    days: Annotated[float | None, Field(gt=0, le=3650)] = None
    planned_n: Annotated[int | None, Field(ge=1, le=10**12)] = None
    metric: Annotated[str | None, Field(max_length=64)] = None
    also: Annotated[list[Text], Field(max_length=20, description="Further metrics of units.")] = []
    lower_is_better: bool | None = None
    margin: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    holdout: Annotated[float, Field(ge=0, le=1)] = 0.0
    namespace: Annotated[str | None, Field(max_length=64)] = None
    guardrails: Annotated[
        list[Text],
        Field(
            max_length=8,
            description="fallback, error, slow[:MILLISECONDS], METRIC:bad, each with @RATIO; "
            "METRIC:lower, METRIC:higher, each with @MARGIN. What is no event of answers is "
            "recorded of units: POST /v1/experiments/{name}/outcomes.",
        ),
    ] = []
    only: Annotated[list[Annotated[str, Field(max_length=500)]], Field(max_length=20)] = []
    steps: Annotated[list[float], Field(max_length=20)] = []
    step_hours: Annotated[
        float | None, Field(gt=0, le=1000, description="In mode ramp; none: 1.")
    ] = None
    step_units: Annotated[
        int | None, Field(ge=1, le=10**9, description="In mode ramp; none: 100.")
    ] = None
    arms: Annotated[list[Text], Field(max_length=8, description="More, with THOMPSON.")] = []
    floor: Annotated[
        float | None, Field(ge=0, le=1, description="With THOMPSON: an arm's least share.")
    ] = None
    batch_hours: Annotated[
        float | None, Field(gt=0, le=1000, description="With THOMPSON: the least between shares.")
    ] = None
    window_minutes: Annotated[
        float | None,
        Field(gt=0, le=10_080, description="How long clicks count, in mode interleave; none: 30."),
    ] = None
    salt: Annotated[str | None, Field(max_length=64)] = None
    hash: Annotated[str, Field(max_length=16)] = "blake2b"
    cap: Annotated[
        float | None, Field(gt=0, lt=1, description="Quantile of the control; in mode outside.")
    ] = None
    template: Annotated[
        str,
        Field(
            max_length=64,
            description="dynamic-prices, churn-alert or demand-forecast; fills in the rest. Its "
            "units come before the start: POST /v1/experiments/{name}/units.",
        ),
    ] = ""
    horizon_days: Annotated[
        int | None,
        Field(ge=1, le=730, description="Days from the start on which outcomes of a list count."),
    ] = None
    period_h: Annotated[
        float | None,
        Field(ge=24, le=8760, description="Hours that answers share their weather for; shadow."),
    ] = None
    holding: Annotated[
        float | None,
        Field(gt=0, le=1e9, description="Cost of a piece left over, in pairs of forecasts."),
    ] = None
    shortage: Annotated[
        float | None, Field(gt=0, le=1e9, description="Cost of a piece that is short.")
    ] = None
    hypothesis: Annotated[str, Field(max_length=1000, description="What is expected, and why.")] = (
        ""
    )
    who: Who = "api"


class ExperimentDecision(BaseModel, extra="forbid"):
    """Who decides about an experiment, and why."""

    who: Who = "api"
    reason: Note = ""


class Shares(ExperimentDecision):
    """The treatment's new share; it only grows."""

    share: Annotated[float, Field(ge=0, le=1)]


def create_experiment_routes(app: "App") -> APIRouter:
    """Make the routes of experiments."""
    router = APIRouter(prefix="/v1", tags=["experiments"])
    _reading(router, app)
    _changing(router, app)
    return router


def _reading(router: APIRouter, app: "App") -> None:
    @router.get("/experiments", summary="List experiments with their last look")
    def experiments(
        request: Request,
        model: Annotated[str | None, Query(max_length=64, description="Only of it.")] = None,
        state: Annotated[State | None, Query(description="Only in this state.")] = None,
    ) -> Document:
        found = app.experiments.all(model=model, state=state)
        shown = [app.experiments.show(one.name)[:2] for one in found]
        lang = language_of(request, app)
        return {"experiments": [experiment_document(one, look, (), lang) for one, look in shown]}

    @router.get("/experiments/{name}", summary="Describe an experiment, its last look and history")
    def experiment(name: Name, request: Request) -> Document:
        found = experiment_document(*app.experiments.show(name), language_of(request, app))
        return found | {"answered": answered_document(app.experiments.answered(name))}

    @router.get(
        "/experiments/{name}/report",
        summary="Report an experiment as Markdown, by its last look",
        response_class=Response,
        responses={200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}},
    )
    def report(name: Name, request: Request) -> Response:
        found = app.experiments.report(name)
        page = markdown(found, lang=language_of(request, app), zone=app.config.timezone)
        return Response(page, media_type="text/markdown")

    @router.get("/experiments/{name}/replay", summary="Judge the newest looks again, bit for bit")
    def replay(name: Name, request: Request, last: Newest = 1000) -> Document:
        found = app.experiments.replay(name, last=last, log=False)
        return replay_document(found, language_of(request, app))

    @router.post(
        "/experiments/{name}/replay", summary="Judge looks again, and count the log again, too"
    )
    def replay_log(name: Name, request: Request, last: Newest = 1000) -> Document:
        found = app.experiments.replay(name, last=last)
        return replay_document(found, language_of(request, app))


def _changing(router: APIRouter, app: "App") -> None:
    @router.post("/models/{model}/experiments", status_code=201, summary="Create a draft")
    def create(request: Request, model: ModelName, body: NewExperiment) -> Document:
        wish = msgspec.convert(body.model_dump(exclude={"who"}), Wish)
        who = who_of(request, body.who)
        made = app.create_experiment(model, wish, who=who, units_follow=True)
        return experiment_document(made)

    def decided(action: str, summary: str) -> None:
        @router.post(f"/experiments/{{name}}/{action}", summary=summary)
        def decide(
            request: Request,
            name: Name,
            body: Annotated[ExperimentDecision | None, Body()] = None,
        ) -> Document:
            decision = body or ExperimentDecision()
            act = getattr(app.experiments, action)
            who = who_of(request, decision.who)
            return experiment_document(act(name, who=who, reason=decision.reason))

    decided("start", "Let a draft assign traffic")
    decided("pause", "Let the control answer everything for a while")
    decided("resume", "Assign again")
    decided("stop", "End an experiment for good, or drop a draft")

    @router.post("/experiments/{name}/share", summary="Grow the treatment's share")
    def share(request: Request, name: Name, body: Shares) -> Document:
        weights = (1.0 - body.share, body.share)
        who = who_of(request, body.who)
        changed = app.experiments.set_shares(name, weights, who=who, reason=body.reason)
        return experiment_document(changed)

    @router.post("/experiments/{name}/look", summary="Judge what is known now; the look is stored")
    def look(name: Name, request: Request) -> Document:
        return look_document(app.experiments.look(name), language_of(request, app))


def language_of(request: Request, app: "App") -> str:
    """Give the language of an answer's texts."""
    accepted = request.headers.get("accept-language")
    return choose_language(None, None, accepted, app.settings.language)
