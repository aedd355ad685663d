"""The parameters that several control routes take, with their limits."""

from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, Field

from timonel.alerts.alert import Mark
from timonel.http.errors import InvalidParameters

_CURSOR_FORM = "the `next` link of an answer"
_MOST_US = 2**62


def storable(text: str) -> str:
    """Refuse what a database cannot hold: NUL, and halves of surrogate pairs."""
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        message = "must not have NUL or lone surrogates"
        raise ValueError(message)
    return text


ModelName = Annotated[str, Path(max_length=64, description="Name of a declared model.")]
VersionName = Annotated[
    str, Path(max_length=32, description="A version such as 1.2.0, or champion, previous.")
]
Limit = Annotated[int, Query(ge=1, le=1000, description="The most entries of a page.")]
Reason = Annotated[
    str,
    Field(min_length=1, max_length=2000, description="Why; kept in the history."),
    AfterValidator(storable),
]
Who = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        description="Who decided, kept in the history; with a key, the key's name is.",
    ),
    AfterValidator(storable),
]
Note = Annotated[
    str, Field(max_length=2000, description="Kept in the history."), AfterValidator(storable)
]
AlertId = Annotated[int, Path(ge=1, le=2**62, description="Number of an alert.")]
VersionText = Annotated[
    str,
    Field(max_length=32, description="A version; none: the previous one."),
    AfterValidator(storable),
]


class Decision(BaseModel):
    """Why a version changes its stage, and who says so."""

    reason: Reason
    who: Who = "api"


class Rollback(Decision):
    """A decision to go back, to the previous version or a named one."""

    to: VersionText | None = None


class AlertDecision(BaseModel):
    """What a person decides about an alert; ``revision`` is that of the alert they saw."""

    who: Who = "api"
    note: Note = ""
    revision: Annotated[
        int | None, Field(ge=1, le=2**31 - 1, description="Refuse if the alert changed since.")
    ] = None


class Marking(BaseModel):
    """What an alert was worth."""

    mark: Annotated[Mark, Field(description="useful or false_alarm.")]
    who: Who = "api"
    note: Note = ""


class Silence(AlertDecision):
    """A decision to tell nobody for a time of the project's clock."""

    duration: Annotated[
        str, Field(alias="for", pattern=r"^[1-9][0-9]{0,3}[mhd]$", description="30m, 24h, 7d.")
    ]


class Position(NamedTuple):
    """The last row of a page: its event time and id."""

    at_us: int
    prediction_id: UUID


def read_position(cursor: str | None) -> Position | None:
    """Read the cursor of a keyset page.

    Raises
    ------
    InvalidParameters
        If it is none that we wrote.
    """
    if cursor is None:
        return None
    at, _, identifier = cursor.partition("_")
    try:
        position = Position(int(at), UUID(identifier))
    except ValueError:
        position = None
    if position is None or abs(position.at_us) > _MOST_US:
        entry = {"field": "query.before", "found": repr(cursor[:80]), "expected": _CURSOR_FORM}
        raise InvalidParameters(errors=[entry])
    return position


def write_position(at_us: int, identifier: UUID) -> str:
    """Write the cursor that ``read_position`` reads."""
    return f"{at_us}_{identifier}"
