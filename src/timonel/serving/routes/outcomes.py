"""``POST /v1/models/{model}/outcomes``: the form is checked, the drain decides what they mean."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from timonel.errors import Phrase, TimonelError, closest, summary_of
from timonel.events.errors import SpoolFull
from timonel.events.frames import OutcomeFrame
from timonel.schema.validation import MOST_ERRORS, NOTHING, ONCE, TWICE, UNKNOWN_FIELD, read_key
from timonel.schema.validation_fields import Fault
from timonel.serving.errors import InvalidOutcome
from timonel.serving.metrics import Family
from timonel.serving.routes.fields import field_error, moment, own_id, prediction_named
from timonel.serving.routes.journal import Journal
from timonel.serving.versions.snapshot import ServedModel, Snapshot
from timonel.wire.answer import Label
from timonel.wire.errors import TooManyRows
from timonel.wire.ids import id_text
from timonel.wire.replies import OutcomesReply
from timonel.wire.strict_json import JsonObject, Unusable, describe, read_json

ORIGIN = "api"
_FIELDS = ("outcome_id", "prediction_id", "key", "value", "at")
INLINE_BYTES = 16 << 10  # more is read in a thread
_LONGEST_VALUE = 256
_VALUE = Phrase("true, false, a text, a number or null", "true, false, un texto, un número o null")
_BY_ID = Phrase(
    "prediction_id: the model declares no key (`outcome=Outcome(key=...)` declares one)",
    "prediction_id: el modelo no declara llave (`outcome=Outcome(key=...)` declara una)",
)


class OutcomeReader:
    """Reads outcomes of one model.

    Parameters
    ----------
    model : str
    key : str or None
        The request field that the model's declaration names; None: only ids are taken.
    timezone : str
        IANA zone in which times without an offset are read.
    """

    def __init__(self, model: str, key: str | None, timezone: str) -> None:
        self._model = model
        self._key = key
        self._zone = ZoneInfo(timezone)

    def read(
        self, body: bytes, *, at: int, next_id: Callable[[], bytes], max_rows: int
    ) -> list[OutcomeFrame]:
        """Read a body: one outcome, or ``{"outcomes": [...]}``.

        Raises
        ------
        MalformedBody, InvalidOutcome, TooManyRows
            All that is wrong with any of them is listed; none is taken then.
        """
        document = read_json(body)
        sent: list[Any] = [document]
        if isinstance(document, JsonObject) and "outcomes" in document:
            listed = document["outcomes"]
            if len(document) > 1 or not isinstance(listed, list) or not listed:
                more = Phrase("more beside it", "algo más a su lado")
                found = more if len(document) > 1 else describe(listed)
                expected = Phrase(
                    "by itself, a list of at least one outcome",
                    "sola, una lista de al menos un resultado",
                )
                raise self._invalid([field_error(0, "outcomes", "wrong_type", found, expected)])
            sent = listed
        if len(sent) > max_rows:
            raise TooManyRows(found=len(sent), limit=max_rows)
        frames: list[OutcomeFrame] = []
        errors: list[dict[str, Any]] = []
        for row, one in enumerate(sent):
            found_here = self._one(one, row, at, next_id())
            if isinstance(found_here, OutcomeFrame):
                frames.append(found_here)
            elif len(errors) < MOST_ERRORS:
                errors += found_here
        if errors:
            raise self._invalid(errors[:MOST_ERRORS])
        return frames

    def _one(
        self, sent: Any, row: int, at: int, identifier: bytes
    ) -> OutcomeFrame | list[dict[str, Any]]:
        if not isinstance(sent, JsonObject):
            expected = Phrase(
                "an object with prediction_id or key, and value",
                "un objeto con prediction_id o key, y value",
            )
            return [field_error(row, "outcomes", "wrong_type", describe(sent), expected)]
        errors: list[dict[str, Any]] = []
        read: dict[str, Any] = {}
        for field, reader in (
            ("outcome_id", own_id),
            ("prediction_id", prediction_named),
            ("key", self._read_key),
            ("value", _value),
            ("at", partial(moment, zone=self._zone)),
        ):
            try:
                read[field] = reader(sent.get(field)) if field in sent else None
            except Fault as fault:
                errors.append(field_error(row, field, fault.code, fault.found, fault.expected))
        errors += self._frame_errors(sent, row)
        if errors:
            return errors
        return OutcomeFrame(
            id=read["outcome_id"] or identifier,
            at=at,
            model=self._model,
            prediction=read["prediction_id"],
            key=read["key"],
            observed_at=read["at"],
            value=read["value"],
            origin=ORIGIN,
        )

    def _frame_errors(self, sent: JsonObject, row: int) -> list[dict[str, Any]]:
        errors = []
        named = [name for name in ("prediction_id", "key") if sent.get(name) is not None]
        if len(named) != 1:
            found = Phrase("both", "ambos") if named else Phrase("neither", "ninguno")
            expected = Phrase("one of prediction_id and key", "uno de prediction_id y key")
            errors.append(field_error(row, "prediction_id", "wrong_name", found, expected))
        if "value" not in sent:
            errors.append(field_error(row, "value", "missing", NOTHING, _VALUE))
        for name in [name for name in sent if name not in _FIELDS][:20]:
            known = closest(name[:64], list(_FIELDS))
            expected = Phrase("one of {known}", "uno de {known}", known=known)
            errors.append(field_error(row, name[:64], "unknown_field", UNKNOWN_FIELD, expected))
        errors += [
            field_error(row, name[:64], "duplicate_field", TWICE, ONCE)
            for name in sent.duplicates[:20]
        ]
        return errors

    def _read_key(self, sent: Any) -> str | None:
        if sent is not None and self._key is None:
            raise Fault("no_key_declared", describe(sent), _BY_ID)
        return read_key(sent)

    def _invalid(self, errors: list[dict[str, Any]]) -> InvalidOutcome:
        return InvalidOutcome(
            model=self._model, count=len(errors), summary=summary_of(errors), errors=errors
        )


class Outcomes:
    """Takes outcomes in. Belongs to one event loop."""

    def __init__(self, journal: Journal, *, max_rows: int) -> None:
        self._journal = journal
        self._max_rows = max_rows
        self.in_flight = 0

    async def accept(self, snapshot: Snapshot, model: ServedModel, body: bytes) -> OutcomesReply:
        """Log the outcomes of a body.

        Raises
        ------
        MalformedBody, InvalidOutcome, TooManyRows, SpoolFull
            Then none of them is acknowledged.
        """
        at = snapshot.clock.now_us()
        self.in_flight += 1
        try:
            frames = await self._read(model, body, at)
            await self._journal.many(frames)
        except SpoolFull:
            raise
        except TimonelError as error:
            self._journal.refusal(model.name, at, error)
            raise
        finally:
            self.in_flight -= 1
        self._journal.slot.count(Family.OUTCOMES, model.name, n=len(frames))
        return OutcomesReply([id_text(frame.id) for frame in frames])

    async def _read(self, model: ServedModel, body: bytes, at: int) -> list[OutcomeFrame]:
        shown = model.declaration or model.champion
        key = shown.manifest.outcome.key if shown is not None else None
        zone = shown.manifest.timezone if shown is not None else "UTC"
        read = partial(
            OutcomeReader(model.name, key, zone).read,
            body,
            at=at,
            next_id=self._journal.ids.next,
            max_rows=self._max_rows,
        )
        if len(body) <= INLINE_BYTES:
            return read()
        return await asyncio.to_thread(read)


def _value(sent: Any) -> Label | None:
    if sent is None or isinstance(sent, bool):
        return sent
    if isinstance(sent, Unusable):
        raise Fault("not_finite", sent.text, Phrase("a finite number", "un número finito"))
    if isinstance(sent, int) and sent.bit_length() >= 64:
        expected = Phrase(
            "a whole number of at most 63 bits", "un número entero de a lo más 63 bits"
        )
        raise Fault("out_of_range", describe(sent), expected)
    if isinstance(sent, str) and not (len(sent) <= _LONGEST_VALUE and sent.isprintable()):
        expected = Phrase(
            "at most {n} printable characters",
            "a lo más {n} caracteres imprimibles",
            n=_LONGEST_VALUE,
        )
        raise Fault("invalid_text", describe(sent), expected)
    if not isinstance(sent, str | int | float):
        raise Fault("wrong_type", describe(sent), _VALUE)
    return sent
