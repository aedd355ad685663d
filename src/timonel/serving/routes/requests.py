"""The bodies of predict requests: a quick way for what is right, a careful way for the rest."""

from typing import Any, NamedTuple

import msgspec

from timonel.errors import Phrase, closest
from timonel.schema.validation import (
    DECLINED,
    NOTHING,
    ONCE,
    TWICE,
    UNKNOWN_FIELD,
    FieldError,
    Row,
    RowDecoder,
    read_key,
)
from timonel.schema.validation_fields import Fault
from timonel.wire.errors import InvalidRequest, TooManyRows
from timonel.wire.ids import parse_uuid7
from timonel.wire.strict_json import A_JSON_OBJECT, JsonObject, describe, read_json

_FIELDS = ("inputs", "unit_id", "prediction_id", "prediction_ids", "partial")
_DECLINED = (msgspec.DecodeError, RecursionError, *DECLINED)
_UNSET = msgspec.UNSET
EXAMPLE = '{"inputs": {"FIELD": VALUE, ...}}'


class PredictRequest(msgspec.Struct, frozen=True, gc=False):
    """One request, read.

    Parameters
    ----------
    rows : list
        Each a ``Row``, or the list of its errors.
    single : bool
        One row was sent by itself, not in a list.
    unit_id : str or None
    prediction_id : bytes or None
        Sent by the client, so that a repeated request is counted once.
    partial : bool
        Good rows are answered although others are refused.
    ids : list of bytes or None
        One a row, sent by the client for the same reason.
    """

    rows: list[Row | list[FieldError]]
    single: bool
    unit_id: str | None = None
    prediction_id: bytes | None = None
    partial: bool = False
    ids: list[bytes] | None = None


class Overrides(NamedTuple):
    """What a request for an entity sends of its own: fields of the row, and what names it."""

    inputs: JsonObject
    unit_id: str | None
    prediction_id: bytes | None


class RequestReader:
    """Reads the predict requests of one schema. Immutable; safe to share between threads."""

    def __init__(self, decoder: RowDecoder) -> None:
        self._rows = decoder
        row: Any = decoder.row_type
        text = str | None | msgspec.UnsetType
        body = msgspec.defstruct(
            "PredictBody",
            [
                ("inputs", row | list[row]),
                ("unit_id", text, _UNSET),
                ("prediction_id", text, _UNSET),
                ("prediction_ids", list[str] | None | msgspec.UnsetType, _UNSET),
                ("partial", bool | msgspec.UnsetType, _UNSET),
            ],
            frozen=True,
            gc=False,
            forbid_unknown_fields=True,
        )
        self._decode = msgspec.json.Decoder(body).decode
        self._route = f"/v1/models/{decoder.model}/predict"

    def read(self, body: bytes, max_rows: int) -> PredictRequest:
        """Read a body.

        Raises
        ------
        MalformedBody
            If it is no JSON.
        InvalidRequest, TooManyRows
            If the frame around the rows breaks the form. Rows that do are listed in the result.
        """
        return self.quick(body, max_rows) or self.careful(body, max_rows)

    def quick(self, body: bytes, max_rows: int) -> PredictRequest | None:
        """Read a body that is right in all; None where ``careful`` must look (it takes longer)."""
        rows = self._rows
        try:
            sent: Any = self._decode(body)
            bare = (
                sent.unit_id is sent.prediction_id is sent.prediction_ids is sent.partial is _UNSET
            )
            frame = _BARE if bare else _quick_frame(sent)
            if frame is None:
                return None
            unit, identifier, ids, colons = frame
            inputs = sent.inputs
            if inputs.__class__ is not list:
                row = rows.quick(inputs)
                if ids or not rows.no_duplicates(body, colons + rows.colons(inputs)):
                    return None
                return PredictRequest([row], True, unit, identifier)
            n_ids = len(inputs) if ids is None else len(ids)
            if not 0 < len(inputs) == n_ids <= max_rows or identifier is not None:
                return None
            many: list[Row | list[FieldError]] = list(map(rows.quick, inputs))
        except _DECLINED:
            return None
        if not rows.no_duplicates(body, colons + sum(map(rows.colons, inputs))):
            return None
        return PredictRequest(many, False, unit, None, sent.partial is True, ids)

    def careful(self, body: bytes, max_rows: int) -> PredictRequest:
        """Read any body; raises as ``read`` does."""
        document = read_json(body)
        if not isinstance(document, JsonObject):
            expected = Phrase("an object with the field inputs", "un objeto con el campo inputs")
            raise self._invalid("body", describe(document), expected)
        self._check_frame(document)
        unit = self._text(document, "unit_id")
        identifier = self._identifier(document)
        partial = document.get("partial")
        if not (partial is None or isinstance(partial, bool)):
            raise self._invalid(
                "partial", describe(partial), Phrase("true or false", "true o false")
            )
        inputs = document["inputs"]
        ids = self._identifiers(document, inputs)
        if not isinstance(inputs, list):
            return PredictRequest([self._rows.check(inputs)], True, unit, identifier)
        if not inputs:
            found = Phrase("an empty list", "una lista vacía")
            raise self._invalid("inputs", found, Phrase("at least one row", "al menos una fila"))
        if len(inputs) > max_rows:
            raise TooManyRows(found=len(inputs), limit=max_rows)
        if identifier is not None:
            expected = Phrase(
                "no prediction_id beside many rows: prediction_ids names each",
                "ningún prediction_id junto a varias filas: prediction_ids nombra cada una",
            )
            raise self._invalid("prediction_id", Phrase("one id", "un id"), expected)
        checked = [self._rows.check(one, at) for at, one in enumerate(inputs)]
        return PredictRequest(checked, False, unit, None, partial is True, ids)

    def overrides(self, body: bytes) -> Overrides:
        """Read the body of a request for an entity; an empty one overrides nothing.

        Raises
        ------
        MalformedBody, InvalidRequest
            Faults of the fields themselves are left to the row's decoder.
        """
        if not body.strip():
            return Overrides(JsonObject([]), None, None)
        document = read_json(body)
        if not isinstance(document, JsonObject):
            raise self._invalid("body", describe(document), A_JSON_OBJECT)
        document.setdefault("inputs", JsonObject([]))
        self._check_frame(document)
        inputs = document["inputs"]
        if not isinstance(inputs, JsonObject):
            expected = Phrase("an object of fields", "un objeto de campos")
            raise self._invalid("inputs", describe(inputs), expected)
        if "partial" in document:
            raise self._invalid("partial", UNKNOWN_FIELD, Phrase("one row alone", "una sola fila"))
        return Overrides(inputs, self._text(document, "unit_id"), self._identifier(document))

    def _check_frame(self, document: JsonObject) -> None:
        if document.duplicates:
            raise self._invalid(document.duplicates[0], TWICE, ONCE)
        if "inputs" not in document:
            bare = any(name in self._rows.names for name in document)
            fields = Phrase("the row's fields by themselves", "los campos de la fila sueltos")
            expected = Phrase(
                'the row inside "inputs", or a list of rows',
                'la fila dentro de "inputs", o una lista de filas',
            )
            raise self._invalid("inputs", fields if bare else NOTHING, expected)
        for name in document:
            if name not in _FIELDS:
                known = closest(name[:64], list(_FIELDS))
                expected = Phrase("one of {known}", "uno de {known}", known=known)
                raise self._invalid(name[:64], UNKNOWN_FIELD, expected)

    def _text(self, document: JsonObject, name: str) -> str | None:
        try:
            return read_key(document.get(name))
        except Fault as fault:
            raise self._invalid(name, fault.found, fault.expected) from None

    def _identifier(self, document: JsonObject) -> bytes | None:
        sent = document.get("prediction_id")
        if sent is None:
            return None
        identifier = parse_uuid7(sent) if isinstance(sent, str) else None
        if identifier is None:
            expected = Phrase("the text of a UUIDv7", "el texto de un UUIDv7")
            raise self._invalid("prediction_id", describe(sent), expected)
        return identifier

    def _identifiers(self, document: JsonObject, inputs: Any) -> list[bytes] | None:
        sent = document.get("prediction_ids")
        if sent is None:
            return None
        n_rows = len(inputs) if isinstance(inputs, list) else 0
        expected = Phrase(
            "a list of {n} different UUIDv7, one for each row of a list of inputs",
            "una lista de {n} UUIDv7 distintos, uno por fila de una lista inputs",
            n=n_rows,
        )
        if not isinstance(sent, list) or not n_rows or len(sent) != n_rows:
            found: str = describe(sent)
            if isinstance(sent, list):
                found = Phrase("{n} ids", "{n} ids", n=len(sent))
            raise self._invalid("prediction_ids", found, expected)
        ids = []
        for one in sent:
            identifier = parse_uuid7(one) if isinstance(one, str) else None
            if identifier is None:
                raise self._invalid("prediction_ids", describe(one), expected)
            ids.append(identifier)
        if len(set(ids)) < len(ids):
            repeated = Phrase("an id twice", "un id dos veces")
            raise self._invalid("prediction_ids", repeated, expected)
        return ids

    def _invalid(self, field: str, found: str, expected: str) -> InvalidRequest:
        return InvalidRequest(
            field=field, found=found, expected=expected, route=self._route, example=EXAMPLE
        )


_Frame = tuple[str | None, bytes | None, list[bytes] | None, int]
_BARE: _Frame = (None, None, None, 1)


def _quick_frame(sent: Any) -> _Frame | None:
    """Read unit and ids, and count the colons of the frame; None sends it the careful way."""
    colons = 1
    unit = sent.unit_id
    if unit is not _UNSET:
        colons += 1
        if unit is not None:
            colons += unit.count(":")
            try:
                unit = read_key(unit)
            except Fault:
                return None
    identifier = None
    if sent.prediction_id is not _UNSET:
        colons += 1
        if sent.prediction_id is not None:
            identifier = parse_uuid7(sent.prediction_id)
            if identifier is None:
                return None
    ids = None
    if sent.prediction_ids is not _UNSET:
        colons += 1
        ids = _quick_ids(sent.prediction_ids)
        if ids is None and sent.prediction_ids is not None:
            return None
    if sent.partial is not _UNSET:
        colons += 1
    return None if unit is _UNSET else unit, identifier, ids, colons


def _quick_ids(sent: list[str] | None) -> list[bytes] | None:
    read = [parse_uuid7(one) for one in sent or ()]
    ids = [one for one in read if one is not None]
    return ids if ids and len(set(ids)) == len(read) else None
