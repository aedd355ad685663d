"""Routes for rankers outside: two rankings of one request become one list, and clicks choose."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, Field

from timonel.experiments.rankings.draft import CONTROL, MOST_ITEMS, TREATMENT
from timonel.http.access.callers import require_seen
from timonel.http.experiments.routes import Name
from timonel.http.parameters import storable

if TYPE_CHECKING:
    from timonel.app import App

Document = dict[str, Any]
Identifier = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(storable)]
Ranking = Annotated[
    list[Identifier],
    Field(min_length=1, max_length=MOST_ITEMS, description="Best first, each item once."),
]
_TEAMS = {CONTROL: "control", TREATMENT: "treatment"}


class TwoRankings(BaseModel, extra="forbid"):
    """What two rankers say of one request."""

    request_id: Annotated[Identifier, Field(description="Different for each list shown.")]
    unit_id: Annotated[
        Identifier | None, Field(description="Whom clicks belong to; none: the request.")
    ] = None
    control: Ranking
    treatment: Ranking
    length: Annotated[
        int | None, Field(ge=1, le=2 * MOST_ITEMS, description="The most items to show.")
    ] = None


class Clicks(BaseModel, extra="forbid"):
    """Items of a list that were clicked; each counts once, however often it is told."""

    request_id: Identifier
    items: Annotated[list[Identifier], Field(min_length=1, max_length=2 * MOST_ITEMS)]


def create_ranking_routes(app: "App") -> APIRouter:
    """Make the routes of interleaved rankings."""
    router = APIRouter(prefix="/v1", tags=["experiments"])

    @router.post(
        "/experiments/{name}/interleave",
        summary="Make one list of two rankings by team draft, and log whose each item is",
    )
    def interleave(name: Name, body: TwoRankings, request: Request) -> Document:
        require_seen(request, app.outside_units.model_of(name))
        found = app.experiments.rankings.interleave(
            name,
            body.request_id,
            body.control,
            body.treatment,
            unit=body.unit_id,
            length=body.length,
        )
        return {
            "request_id": body.request_id,
            "unit_id": found.unit,
            "items": found.items,
            "teams": [_TEAMS.get(team) for team in found.teams],
            "first": found.first,
        }

    @router.post("/experiments/{name}/clicks", summary="Tell which items of a list were clicked")
    def clicks(name: Name, body: Clicks, request: Request) -> Document:
        require_seen(request, app.outside_units.model_of(name))
        found = app.experiments.rankings.click(name, body.request_id, body.items)
        return {"request_id": body.request_id, **found._asdict()}

    return router
