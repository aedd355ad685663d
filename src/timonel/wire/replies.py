"""What predict routes answer with; the field order is the order on the wire."""

from typing import Any

import msgspec

from timonel.wire.answer import Label


class PredictionReply(msgspec.Struct, frozen=True, gc=False):
    """One answer.

    ``explanation`` is there where rules gave one, ``data_age_s`` where the row was looked up, and
    ``logged`` only when false.
    """

    prediction_id: str
    model: str
    version: str  # "" where no version answered
    variant: str  # "" outside experiments
    source: str
    reason: str
    prediction: Label
    score: float | None
    probabilities: dict[str, float] | None
    latency_ms: float
    explanation: str | msgspec.UnsetType = msgspec.UNSET
    data_age_s: float | msgspec.UnsetType = msgspec.UNSET
    logged: bool | msgspec.UnsetType = msgspec.UNSET


class RowProblem(msgspec.Struct, frozen=True, gc=False):
    """The place of a row that was refused, in an answer of many rows."""

    error: dict[str, Any]


class PredictionsReply(msgspec.Struct, frozen=True, gc=False):
    """The answers of many rows, in the order of the rows."""

    predictions: list[PredictionReply | RowProblem]


class OutcomesReply(msgspec.Struct, frozen=True, gc=False):
    """The ids by which ``GET /v1/outcomes/{id}`` tells what became of each outcome."""

    outcome_ids: list[str]


class RecordsReply(msgspec.Struct, frozen=True, gc=False):
    """The ids under which predictions of elsewhere were recorded, in the order sent."""

    prediction_ids: list[str]


encode_reply = msgspec.json.Encoder(enc_hook=str).encode
