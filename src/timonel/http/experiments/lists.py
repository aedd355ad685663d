"""Routes of whole lists: units assigned at once, who is in which arm, what came of them.

A program sends JSON, an office its CSV file. A file is never in memory whole before it is read,
and files are read one at a time, so however many come, memory is that of one.
"""

import csv
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import anyio
import msgspec
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

from timonel.errors import Phrase, in_language
from timonel.events.importing.files import neutral
from timonel.experiments.documents import experiment_document
from timonel.experiments.outside.drawing import draw_list, draw_units
from timonel.experiments.outside.files import NamedUnits, OutcomeRow, UnitFile, repeated
from timonel.experiments.outside.recording import RecordReport, record_file, record_rows
from timonel.http.access.callers import require_seen, who_of
from timonel.http.access.guard import CSV
from timonel.http.errors import InvalidParameters
from timonel.http.experiments.outside import Number, Unit, UnitOutcome
from timonel.http.experiments.routes import Name, language_of
from timonel.http.parameters import Limit, Who, storable
from timonel.project.incoming import Manner

if TYPE_CHECKING:
    from timonel.app import App
    from timonel.experiments.outside.enlisting import Page

Document = dict[str, Any]
_T = TypeVar("_T")
_FILE = Path("body.csv")  # as messages name it
_MOST_TOLD = 1_000
_NEITHER: Document = {"type": "string", "format": "binary"}

Column = Annotated[str, Query(max_length=128, description="Column of the ids.")]
Decimal = Annotated[
    str | None, Query(pattern="^[.,]$", description="Mark of a file's numbers; none: by evidence.")
]


class ListedUnit(BaseModel, extra="forbid"):
    """A unit to assign, the block within which shares are exact, and what was known before."""

    unit_id: Unit
    block: Annotated[str, Field(min_length=1, max_length=256), AfterValidator(storable)] | None = (
        None
    )
    covariate: Annotated[
        Number | None, Field(description="Known before, of every unit or of none (CUPED).")
    ] = None


class UnitsToAssign(BaseModel, extra="forbid"):
    """All units of an experiment; with a block and a covariate each, or none."""

    units: Annotated[list[ListedUnit], Field(min_length=2)]


class UnitOutcomes(BaseModel, extra="forbid"):
    """What came of units; a unit stands once."""

    outcomes: Annotated[list[UnitOutcome], Field(min_length=1)]


class Asked(BaseModel, extra="forbid"):
    """How a list is drawn, whatever form it comes in."""

    key_column: Annotated[str | None, Field(max_length=128, description="Column of the ids.")] = (
        None
    )
    block: Annotated[
        str | None, Field(max_length=128, description="Column of a file: shares exact within.")
    ] = None
    covariate: Annotated[
        str | None,
        Field(max_length=128, description="Column of a file: what was known before (CUPED)."),
    ] = None
    seed: Annotated[
        int | None, Field(ge=0, lt=2**53, description="None: drawn, and kept with the design.")
    ] = None
    decimal: Annotated[
        str | None, Field(pattern="^[.,]$", description="Mark of a file's numbers.")
    ] = None
    source: Annotated[
        str | None,
        Field(min_length=1, max_length=128, description="Name of the list, kept with the design."),
        AfterValidator(storable),
    ] = None
    who: Who = "api"


def create_list_routes(app: "App") -> APIRouter:
    """Make the routes of lists of units and of outcomes."""
    router = APIRouter(prefix="/v1", tags=["experiments"])
    one_file = anyio.CapacityLimiter(1)

    @router.post(
        "/experiments/{name}/units",
        summary="Assign all units of a draft at once, from JSON or a CSV file",
        openapi_extra=_body(UnitsToAssign, "A row a unit; columns are named by the query."),
    )
    async def assign(name: Name, request: Request, asked: Annotated[Asked, Query()]) -> Document:
        await run_sync(_seen, app, name, request)
        who, lang = who_of(request, asked.who), language_of(request, app)
        async with _received(request, UnitsToAssign) as body:
            made = await run_sync(
                lambda: app.unit_lists.assign(name, _drawing(asked, body), who=who),
                limiter=one_file,
            )
        return experiment_document(made, lang=lang)

    @router.get(
        "/experiments/{name}/units",
        summary="List the units of an experiment with their arms; as CSV where that is asked for",
        responses={200: {"content": {CSV: {"schema": _NEITHER}}}},
        response_model=None,
    )
    def units(
        name: Name,
        request: Request,
        after: Annotated[str, Query(max_length=256, description="A unit; those after it.")] = "",
        limit: Limit = 1000,
    ) -> Document | Response:
        _seen(app, name, request)
        if CSV in request.headers.get("accept", ""):
            pages = app.unit_lists.pages(name)
            return StreamingResponse(_csv(next(pages), pages), media_type=f"{CSV}; charset=utf-8")
        return _page(app.unit_lists.page(name, after, limit), limit)

    @router.post(
        "/experiments/{name}/record",
        summary="Record what came of many units, from JSON or a CSV file; tells what it refused",
        openapi_extra=_body(UnitOutcomes, "A row a unit, a column a metric; empty is unknown."),
    )
    async def record(
        name: Name, request: Request, key_column: Column | None = None, decimal: Decimal = None
    ) -> Document:
        await run_sync(_seen, app, name, request)
        lang = language_of(request, app)
        async with _received(request, UnitOutcomes) as body:
            report = await run_sync(
                lambda: _recorded(app, name, body, key_column, decimal), limiter=one_file
            )
        return _report(report, lang)

    return router


def _seen(app: "App", name: str, request: Request) -> None:
    """Refuse before the body is read."""
    require_seen(request, app.outside_units.model_of(name))


def _body(form: type[BaseModel], said: str) -> Document:
    schema = form.model_json_schema(mode="validation")
    inner = schema.pop("$defs", {})
    text = json.dumps(schema)
    while "#/$defs/" in text:  # nested forms stand where they are used
        for name, one in inner.items():
            text = text.replace(json.dumps({"$ref": f"#/$defs/{name}"}), json.dumps(one))
    content = {
        "application/json": {"schema": json.loads(text)},
        CSV: {"schema": _NEITHER | {"description": said}},
    }
    return {"requestBody": {"required": True, "content": content}}


@asynccontextmanager
async def _received(request: Request, form: type[_T]) -> AsyncIterator["Path | _T"]:
    """Give the folder of a file that was sent, or what a JSON body says."""
    if not request.headers.get("content-type", "").lower().startswith(CSV):
        yield _validated(await request.body(), form)
        return
    with TemporaryDirectory(prefix="timonel-") as folder:
        with (Path(folder) / _FILE).open("wb") as stream:
            async for piece in request.stream():
                stream.write(piece)
        yield Path(folder)


def _validated(body: bytes, form: type[_T]) -> _T:
    """Read a JSON body, and refuse it as the framework refuses others."""
    try:
        return TypeAdapter(form).validate_python(json.loads(body))
    except json.JSONDecodeError as error:
        broken = {"type": "json_invalid", "loc": ("body", error.pos), "ctx": {"error": error.msg}}
        raise RequestValidationError([broken]) from None
    except ValidationError as error:
        wrong = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(wrong) from None
    except (UnicodeDecodeError, RecursionError):
        raise HTTPException(400, "no text in UTF-8") from None


def _drawing(asked: Asked, body: "Path | UnitsToAssign") -> Callable[..., Any]:
    if isinstance(body, Path):
        file = UnitFile(
            path=_FILE,
            key=asked.key_column,
            block=asked.block,
            seed=asked.seed,
            decimal=asked.decimal,
            folder=body,
            source=asked.source,
            covariate=asked.covariate,
        )
        return lambda design: draw_list(design, file)
    _refuse_columns(asked)
    blocks = [one.block or "" for one in body.units]
    known = [None if one.covariate is None else float(one.covariate) for one in body.units]
    covaried = any(cell is not None for cell in known)
    # lists without covariates keep the hash that they had before there were any
    rows = [
        (one.unit_id, one.block, *((cell,) if covaried else ()))
        for one, cell in zip(body.units, known, strict=True)
    ]
    named = NamedUnits(
        units=[one.unit_id for one in body.units],
        blocks=blocks if any(blocks) else None,
        covariates=known if covaried else None,
        source=asked.source or "JSON",
        sha256=sha256(msgspec.json.encode(rows)).hexdigest(),
        key="unit_id",
        block="block" if any(blocks) else "",
        covariate="covariate" if covaried else "",
        line=lambda place: place + 1,
    )
    return lambda design: draw_units(design, named, asked.seed)


def _refuse_columns(asked: Asked) -> None:
    """Refuse what only a file can honour, beside JSON: it would be ignored."""
    given = asked.model_dump(
        include={"key_column", "block", "covariate", "decimal"}, exclude_none=True
    )
    expected = Phrase("none: it is about a CSV file", "nada: es de un archivo CSV")
    wrong = [
        {"field": f"query.{name}", "found": value, "expected": expected}
        for name, value in given.items()
    ]
    if wrong:
        raise InvalidParameters(errors=wrong)


def _recorded(
    app: "App", name: str, body: "Path | UnitOutcomes", key: str | None, decimal: str | None
) -> RecordReport:
    units = app.outside_units
    if isinstance(body, Path):
        return record_file(
            units,
            name,
            _FILE,
            key=key,
            manner=Manner(decimal=decimal),
            folder=body,
            most_refused=_MOST_TOLD,
        )
    rows = [
        OutcomeRow(line, one.unit_id, {metric: float(v) for metric, v in one.values.items()})
        for line, one in enumerate(body.outcomes, 1)
    ]
    twice = repeated(row.unit for row in rows)
    return record_rows(units, name, rows, twice, most_refused=_MOST_TOLD)


def _report(report: RecordReport, lang: str) -> Document:
    return {
        "rows": report.n_rows,
        "new": report.recorded.new,
        "corrected": report.recorded.corrected,
        "same": report.n_same,
        "empty": report.n_empty,
        "unread": report.unread,
        "n_refused": report.n_refused,
        "refused": [
            {"line": row.line, "unit_id": row.unit[:64], "reason": in_language(row.reason, lang)}
            for row in report.refused
        ],
    }


def _page(page: "Page", limit: int) -> Document:
    members = page.members
    return {
        "listed": msgspec.to_builtins(page.listed),
        "units": [{"unit_id": one.unit, "arm": one.arm} for one in members],
        "after": members[-1].unit if len(members) == limit else None,
    }


def _csv(first: "Page", pages: "Iterator[Page]") -> Iterator[str]:
    yield _lines([(neutral(first.listed.key), "arm")])
    page: Page | None = first
    while page is not None:
        yield _lines((neutral(one.unit), one.arm) for one in page.members)
        page = next(pages, None)


def _lines(rows: Any) -> str:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
