"""Routes for an outside service that acts by itself: which arm a unit gets, and what came of it."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictFloat, StrictInt

from timonel.http.access.callers import require_seen
from timonel.http.experiments.routes import Name
from timonel.http.parameters import storable

if TYPE_CHECKING:
    from timonel.app import App

Document = dict[str, Any]
Unit = Annotated[
    str,
    Field(min_length=1, max_length=256, description="Whom the outcome will belong to."),
    AfterValidator(storable),
]
Attribute = StrictBool | StrictInt | StrictFloat | Annotated[str, Field(max_length=1000)] | None
Number = Annotated[
    StrictBool | StrictInt | StrictFloat,
    Field(ge=-1e12, le=1e12, allow_inf_nan=False, description="true and false are 1 and 0."),
]


class UnitToAssign(BaseModel, extra="forbid"):
    """A unit, and what the experiment's conditions ask about it."""

    unit_id: Unit
    attributes: Annotated[dict[str, Attribute], Field(max_length=100)] = {}


class UnitOutcome(BaseModel, extra="forbid"):
    """What came of a unit: one value a metric; a later one corrects an earlier one."""

    unit_id: Unit
    values: Annotated[dict[str, Number], Field(min_length=1, max_length=50)]


def create_outside_routes(app: "App") -> APIRouter:
    """Make the routes of experiments in which someone else acts."""
    router = APIRouter(prefix="/v1", tags=["experiments"])

    @router.post("/experiments/{name}/assign", summary="Give a unit its arm, and log its exposure")
    def assign(name: Name, body: UnitToAssign, request: Request) -> Document:
        require_seen(request, app.outside_units.model_of(name))
        placed = app.outside_units.assign(name, body.unit_id, body.attributes)
        return {
            "unit_id": body.unit_id,
            "arm": placed.arm,
            "first_exposure": placed.first,
            "propensity": app.outside_units.propensity(name, body.unit_id),
        }

    @router.post("/experiments/{name}/outcomes", summary="Record what came of a unit")
    def outcomes(name: Name, body: UnitOutcome, request: Request) -> Document:
        require_seen(request, app.outside_units.model_of(name))
        values = {metric: float(value) for metric, value in body.values.items()}
        recorded = app.outside_units.record(name, {body.unit_id: values})
        return {"unit_id": body.unit_id, "changed": recorded.changed}

    return router
