"""A request with its model, and what is made of its rows: frames for the log, replies."""

import time

import msgspec

from timonel.events.frames import PredictionFrame
from timonel.schema.errors import InvalidRow
from timonel.schema.validation import FieldError, Row
from timonel.serving.errors import NotServable
from timonel.serving.routes.fallback import Given
from timonel.serving.routes.requests import PredictRequest
from timonel.serving.versions.snapshot import Choice, ServedModel, ServedVersion
from timonel.wire.answer import Reason, Source
from timonel.wire.ids import id_text
from timonel.wire.replies import PredictionReply

_MODEL = Source.MODEL.value


class Asked(msgspec.Struct, frozen=True, gc=False):
    """One request, its model, and when it came (event time, and monotonic)."""

    generation: int
    model: ServedModel
    request: PredictRequest
    at: int
    started_ns: int
    pinned: ServedVersion | None = None
    missing: Reason | None = None  # why a row that was looked up is not whole
    age_ms: int | None = None

    def took_us(self) -> int:
        """Give the time since it came, in microseconds."""
        return (time.monotonic_ns() - self.started_ns) // 1000

    def frame(
        self, row: Row, choice: Choice, given: Given, identifier: bytes, took_us: int
    ) -> PredictionFrame:
        """Give what is logged of a row's answer."""
        answer = given.answer
        version = choice.version
        return PredictionFrame(
            id=identifier,
            at=self.at,
            model=self.model.name,
            version=version.manifest.version if given.source == _MODEL else "",
            variant=choice.variant,
            source=given.source,
            reason=given.reason,
            key=row.key,
            unit=self.request.unit_id or (self._unit(row, choice) if choice.variant else None),
            generation=self.generation,
            prediction=answer.prediction,
            score=answer.score,
            probabilities=answer.probabilities,
            explanation=answer.explanation,
            latency_us=took_us,
            features=version.decoder.log(row.values),
            data_age_ms=self.age_ms,
        )

    def _unit(self, row: Row, choice: Choice) -> str | None:
        return row.key if choice.unit is None else choice.unit

    def invalid(self, errors: list[FieldError]) -> InvalidRow:
        """Give what its rows are refused with."""
        return InvalidRow(model=self.model.name, errors=errors)


class Plain(msgspec.Struct, frozen=True, gc=False):
    """One row with who answers it, and nothing to wait for."""

    asked: Asked
    row: Row
    choice: Choice
    identifier: bytes


def reply_of(frame: PredictionFrame, *, logged: bool) -> PredictionReply:
    """Give the answer that a frame is the record of."""
    return PredictionReply(
        id_text(frame.id),
        frame.model,
        frame.version,
        frame.variant,
        frame.source,
        frame.reason,
        frame.prediction,
        frame.score,
        frame.probabilities,
        frame.latency_us / 1000.0,
        msgspec.UNSET if frame.explanation is None else frame.explanation,
        msgspec.UNSET if frame.data_age_ms is None else frame.data_age_ms / 1000.0,
        msgspec.UNSET if logged else False,
    )


def unreadable(model: ServedModel) -> NotServable:
    """Say that nothing of a model can be read."""
    return NotServable(
        model=model.name,
        why="what is published of it cannot be read",
        why_es="lo publicado de él no se puede leer",
    )
