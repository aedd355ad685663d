"""The decoder made from a schema: rows of a request in, values for the featuriser out.

Two ways lead to the same rows. The quick one is a generated msgspec struct and a generated
function that puts its fields in order; it knows only yes and no. What it refuses goes the careful
way, field by field over plain Python values, which accepts a little more (``3.0`` for a whole
number) and lists everything that is wrong.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from timonel.errors import Phrase, closest
from timonel.schema.errors import InvalidRow
from timonel.schema.features import Category, Feature, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.schema.validation_fields import Fault, Reader, Value, moment_of, reader_of
from timonel.wire.strict_json import JsonObject, describe, read_json

LONGEST_KEY = 256
MOST_ERRORS = 1000
MOST_STRANGERS = 20
UNKNOWN_FIELD = Phrase("a field of this name", "un campo de este nombre")
TWICE = Phrase("the field more than once", "el campo más de una vez")
ONCE = Phrase("it once", "una vez")
NOTHING = Phrase("nothing", "nada")
_KEY = Phrase(
    "a text of 1 to {longest} printable characters, or a whole number",
    "un texto de 1 a {longest} caracteres imprimibles, o un número entero",
    longest=LONGEST_KEY,
)
Values = tuple[Value, ...]
FieldError = dict[str, Any]

_encode = msgspec.json.Encoder().encode
_ESCAPED = re.compile(r'["\\\x00-\x1f]')
DECLINED = (KeyError, ValueError, OverflowError)
"""What ``RowDecoder.quick`` raises where the careful way must look."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One validated row.

    Parameters
    ----------
    values : tuple
        In schema order: float, int (whole numbers; moments as microseconds UTC), str, bool, or
        None for a missing value.
    key : str or None
        The user's own id of the case, where the model declares one.
    """

    values: Values
    key: str | None


class RowDecoder:
    """Reads rows of one schema. Immutable once made; safe to share between threads.

    Parameters
    ----------
    schema : Schema
    model : str
        Named in errors.
    key : str or None
        The field that carries the user's own id; accepted beside the features, never required.
    timezone : str
        IANA zone in which times without an offset are read.

    Attributes
    ----------
    quick, colons : callable
        Of a decoded ``row_type``: the row it makes (raises one of ``DECLINED`` where the careful
        way must look), and the colons its text accounts for.
    """

    def __init__(
        self, schema: Schema, *, model: str, key: str | None = None, timezone: str = "UTC"
    ) -> None:
        self.schema = schema
        self.model = model
        self.key = key
        self.names = schema.names
        self._zone = ZoneInfo(timezone)
        self._readers = [reader_of(feature, self._zone) for feature in schema]
        self._required = [feature.required for feature in schema]
        self._moments = [i for i, f in enumerate(schema) if isinstance(f, Timestamp)]
        self._known = frozenset((*self.names, *((key,) if key else ())))
        known = sorted(self._known)
        # a column that is wrong in one row is wrong in all
        self._closest = lru_cache(1024)(lambda name: closest(name, known))
        self.row_type = self._struct()
        self.quick, self.colons = self._generate()
        self._decoder = msgspec.json.Decoder(self.row_type)
        self._logged = self._log_type()

    # --- the quick way

    def no_duplicates(self, body: bytes, n_colons: int) -> bool:
        """Say that a JSON text with the counted colons surely holds no key twice.

        msgspec passes over duplicated keys: the last one wins. Outside of texts every colon
        follows a key, so a body with as many colons as its fields, names and texts account for
        (``colons`` of each row, and one a field around them) has none to spare.
        """
        # JSON may also write a colon as an escape
        return body.count(b":") == n_colons and b"\\u003" not in body

    # --- the careful way

    def partial(self, sent: Any) -> Row | list[FieldError]:
        """Read as ``check`` does, but let any field be absent: its value is None then."""
        return self.check(sent, whole=False)

    def check(
        self, sent: Any, index: int | None = None, *, whole: bool = True
    ) -> Row | list[FieldError]:
        """Read any Python value as a row.

        Parameters
        ----------
        sent : Any
            A mapping of field to value is what can succeed.
        index : int or None
            The row's place in a batch, for the errors.
        whole : bool
            Whether required fields have to be there.

        Returns
        -------
        Row, or list of {"row", "field", "code", "found", "expected"}
            Every error of the row, fields in schema order, unknown ones last.
        """
        if not isinstance(sent, Mapping):
            expected = Phrase(
                "an object of field names and values", "un objeto de nombres de campo y valores"
            )
            return [_error(index, "inputs", "wrong_type", describe(sent), expected)]
        errors: list[FieldError] = []
        values: list[Value] = []
        for name, reader, required in zip(self.names, self._readers, self._required, strict=True):
            try:
                must = required and (whole or name in sent)
                values.append(_read(sent, name, reader, required=must))
            except Fault as fault:
                errors.append(_error(index, name, fault.code, fault.found, fault.expected))
        key = None
        if self.key is not None:
            try:
                key = read_key(sent.get(self.key))
            except Fault as fault:
                errors.append(_error(index, self.key, fault.code, fault.found, fault.expected))
        errors += self._strangers(sent, index)
        return errors or Row(tuple(values), key)

    def row(self, sent: Any) -> Row:
        """Read one Python mapping (of a file's row, of a test).

        Raises
        ------
        InvalidRow
            Listing all that does not fit.
        """
        found = self.check(sent)
        if isinstance(found, Row):
            return found
        raise InvalidRow(model=self.model, errors=found)

    def rows(self, sent: list[Any]) -> list[Row]:
        """Read many; raises ``InvalidRow`` with the errors of all (at most 1,000 are listed)."""
        rows: list[Row] = []
        errors: list[FieldError] = []
        for index, one in enumerate(sent):
            found = self.check(one, index)
            if isinstance(found, Row):
                rows.append(found)
            elif len(errors) < MOST_ERRORS:
                errors += found
        if errors:
            raise InvalidRow(model=self.model, errors=errors[:MOST_ERRORS])
        return rows

    def decode(self, body: bytes) -> Row:
        """Read the JSON of one row alone, as the log keeps it.

        Raises
        ------
        MalformedBody, InvalidRow
        """
        try:
            sent = self._decoder.decode(body)
            row = self.quick(sent)
            if self.no_duplicates(body, self.colons(sent)):
                return row
        except (msgspec.DecodeError, RecursionError, *DECLINED):
            pass
        return self.row(read_json(body))

    # --- what becomes of a row

    def document(self, values: Values) -> dict[str, Any]:
        """Give the row as the rules see it: moments are aware, in the project's time zone."""
        row: dict[str, Any] = dict(zip(self.names, values, strict=True))
        for i in self._moments:
            if values[i] is not None:
                row[self.names[i]] = moment_of(int(values[i] or 0), self._zone)
        return row

    def log(self, values: Values) -> bytes:
        """Give the row as the log keeps it: JSON that ``decode`` reads back to the same values."""
        return _encode(self.plain(values) if self._logged is None else self._logged(*values))

    def plain(self, values: Sequence[Value]) -> dict[str, Any]:
        """Give the row as a request would send it; moments are ISO 8601 in UTC, aware."""
        row: dict[str, Any] = dict(zip(self.names, values, strict=True))
        for i in self._moments:
            if values[i] is not None:
                row[self.names[i]] = moment_of(int(values[i] or 0))
        return row

    def _strangers(self, sent: Mapping[Any, Any], index: int | None) -> list[FieldError]:
        errors = []
        known = sorted(self._known)
        for name in sent:
            if name not in self._known:
                shown = str(name)[:64]
                expected = Phrase(
                    "a field of the schema: {known}",
                    "un campo del esquema: {known}",
                    known=closest(shown, known),
                )
                errors.append(_error(index, shown, "unknown_field", UNKNOWN_FIELD, expected))
                if len(errors) >= 50:
                    break
        errors += [
            _error(index, name[:64], "duplicate_field", TWICE, ONCE)
            for name in (sent.duplicates if isinstance(sent, JsonObject) else ())
        ]
        return errors

    def _generate(self) -> tuple[Callable[[Any], Row], Callable[[Any], int]]:
        """Write two functions of a struct: the row it makes, and the colons its text accounts for.

        Only numbers of our own making enter the source text, never a name of the schema.
        """
        scope: dict[str, Any] = {"Row": Row, "UNSET": msgspec.UNSET, "read_key": _quick_key}
        parts: list[str] = []
        colons: list[str] = []
        for i, (feature, reader) in enumerate(zip(self.schema, self._readers, strict=True)):
            sent = part = f"s.f{i}"
            n = str(1 + feature.name.count(":"))
            if _may_hold_colons(feature):
                n = f"{n} + ({sent}.count(':') if {sent}.__class__ is str else 0)"
            if reader.quick is not None:
                scope[f"q{i}"] = reader.quick
                part = f"q{i}[{sent}]" if isinstance(reader.quick, dict) else f"q{i}({sent})"
            if not feature.required:
                part = f"(None if {sent} is UNSET or {sent} is None else {part})"
                n = f"(0 if {sent} is UNSET else {n})"
            parts.append(part)
            colons.append(n)
        if self.key is not None:
            n = f"{1 + self.key.count(':')} + (s.key.count(':') if s.key.__class__ is str else 0)"
            colons.append(f"(0 if s.key is UNSET else {n})")
        key = "None" if self.key is None else "read_key(s.key)"
        source = (
            f"def quick(s):\n    return Row(({', '.join(parts)},), {key})\n"
            f"def colons(s):\n    return {' + '.join(colons)}\n"
        )
        exec(compile(source, "<row decoder>", "exec"), scope)  # noqa: S102 - text made above
        return scope["quick"], scope["colons"]

    def _log_type(self) -> Callable[..., msgspec.Struct] | None:
        """Give a struct whose JSON is a row's; None where moments or names need more than that."""
        if self._moments or any(_ESCAPED.search(name) for name in self.names):
            return None
        fields: list[Any] = [(f"f{i}", Any) for i in range(len(self.names))]
        rename = {f"f{i}": name for i, name in enumerate(self.names)}
        return msgspec.defstruct("LoggedRow", fields, rename=rename, gc=False)

    def _struct(self) -> type[msgspec.Struct]:
        fields: list[Any] = []
        for i, (reader, required) in enumerate(zip(self._readers, self._required, strict=True)):
            if required:
                fields.append((f"f{i}", reader.type))
            else:
                kind = reader.type | None | msgspec.UnsetType
                fields.append((f"f{i}", kind, msgspec.UNSET))
        # msgspec takes no name that JSON would escape (a line break in a column's title). Such a
        # field gets a name nobody sends, and rows that carry it go the careful way.
        rename = {
            f"f{i}": f"\uffff{i}" if _ESCAPED.search(name) else name
            for i, name in enumerate(self.names)
        }
        if self.key is not None:
            fields.append(("key", str | int | None | msgspec.UnsetType, msgspec.UNSET))
            rename["key"] = "\uffff" if _ESCAPED.search(self.key) else self.key
        return msgspec.defstruct(
            "SentRow",
            fields,
            rename=rename,
            kw_only=True,
            frozen=True,
            gc=False,
            forbid_unknown_fields=True,
        )


def read_key(sent: Any) -> str | None:
    """Read the user's own id of a case: a short text or a whole number.

    Raises
    ------
    Fault
        If it is something else.
    """
    if sent is None:
        return None
    if isinstance(sent, int) and not isinstance(sent, bool) and sent.bit_length() <= 64:
        return str(sent)
    if not isinstance(sent, str):
        raise Fault("wrong_type", describe(sent), _KEY)
    if not 0 < len(sent) <= LONGEST_KEY or not sent.isprintable():
        found: str = describe(sent)
        if len(sent) > LONGEST_KEY:
            found = Phrase(
                "{text} ({n} characters)", "{text} ({n} caracteres)", text=found, n=len(sent)
            )
        raise Fault("invalid_key", found, _KEY)
    return sent


def _quick_key(sent: Any) -> str | None:
    if sent is msgspec.UNSET:
        return None
    if sent.__class__ is str and sent.isprintable() and 0 < len(sent) <= LONGEST_KEY:
        return str(sent)
    try:
        return read_key(sent)
    except Fault as fault:
        raise ValueError(fault.code) from None


def _may_hold_colons(feature: Feature) -> bool:
    if isinstance(feature, Category):
        words = (*feature.values, *(alias for alias, _ in feature.aliases))
        return feature.unseen == "accept" or any(":" in word for word in words)
    return isinstance(feature, Text | Timestamp)


def _read(sent: Mapping[Any, Any], name: str, reader: Reader, *, required: bool) -> Value:
    value = sent.get(name)
    if value is not None:
        return reader.read(value)
    if not required:
        return None
    try:
        reader.read(_NOTHING)
    except Fault as fault:
        code, found = ("null", "null") if name in sent else ("missing", NOTHING)
        raise Fault(code, found, fault.expected) from None
    return None


_NOTHING = object()  # fits no feature: asks a reader what it expects


def _error(index: int | None, field: str, code: str, found: str, expected: str) -> FieldError:
    return {
        "row": 0 if index is None else index,
        "field": field,
        "code": code,
        "found": found,
        "expected": expected,
    }
