"""Bodies of MLflow's scoring protocol as records: four JSON forms, and CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from timonel.errors import Phrase, closest
from timonel.schema.features import Number, Text
from timonel.schema.validation import NOTHING, ONCE, TWICE, RowDecoder, read_key
from timonel.schema.validation_fields import Fault
from timonel.serving.protocols.errors import InvalidTable
from timonel.serving.protocols.tables import records_of, request_of, tidy_records
from timonel.serving.routes.requests import PredictRequest
from timonel.serving.versions.snapshot import ServedVersion
from timonel.wire.errors import TooManyRows
from timonel.wire.strict_json import JsonObject, describe, read_json

SPLIT, RECORDS, INPUTS, INSTANCES = "dataframe_split", "dataframe_records", "inputs", "instances"
FORMS = (SPLIT, RECORDS, INPUTS, INSTANCES)
_UNIT = "unit_id"
_SPLIT_FIELDS = ("columns", "data", "index")
# what pandas writes, and reads, for a number that is missing
_NO_NUMBER = frozenset(("", "nan", "na", "n/a", "null", "none", "<na>"))
_OBJECT = Phrase("an object", "un objeto")
_LIST = Phrase("a list", "una lista")


class ScoringJson:
    """A JSON body with one of the four forms."""

    __slots__ = ("_body", "size")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.size = len(body)

    def read(self, version: ServedVersion, max_rows: int) -> PredictRequest:
        """Read the rows.

        Raises
        ------
        MalformedBody, InvalidTable, TooManyRows
            Errors of rows are in the result.
        """
        document = read_json(self._body)
        if not isinstance(document, JsonObject):
            raise _invalid("body", describe(document), _OBJECT)
        if document.duplicates:
            raise _invalid(document.duplicates[0], TWICE, ONCE)
        form = _form(document)
        unit = _unit(document.get("params"))
        decoder = version.decoder
        sent = document[form]
        if form == SPLIT:
            records = _split(decoder, sent, max_rows)
        elif form == INPUTS and isinstance(sent, JsonObject):
            records = _columns(decoder, sent, max_rows)
        else:
            records = _rows(decoder, form, sent, max_rows)
        return request_of(decoder, records, unit)


class ScoringCsv:
    """A CSV body with a line of names."""

    __slots__ = ("_body", "size")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.size = len(body)

    def read(self, version: ServedVersion, max_rows: int) -> PredictRequest:
        """Read the rows; raises as ``ScoringJson.read`` does."""
        decoder = version.decoder
        lines = _lines(self._body)
        names = next(lines, (1, []))[1]
        skipped = 1 if names and not names[0] else 0  # the index that `to_csv` writes by default
        names = names[skipped:]
        _check_names(names, "the first line")
        numbers = {feature.name for feature in decoder.schema if isinstance(feature, Number)}
        columns: list[list[Any]] = [[] for _ in names]
        n = 0
        for line, cells in lines:
            if len(cells) != len(names) + skipped:
                place = Phrase("line {line}", "la línea {line}", line=line)
                raise _invalid(place, _n_cells(len(cells)), _n_cells(len(names) + skipped))
            n += 1
            if n > max_rows:
                raise TooManyRows(found=n, limit=max_rows)
            for column, cell in zip(columns, cells[skipped:], strict=True):
                column.append(cell)
        if not n:
            raise _invalid("csv", _n_rows(0), _n_rows(1))
        columns = [
            [_number(cell) for cell in column] if name in numbers else _empty(decoder, name, column)
            for name, column in zip(names, columns, strict=True)
        ]
        return request_of(decoder, records_of(decoder, names, columns))


def _form(document: JsonObject) -> str:
    found = [name for name in document if name in FORMS]
    exactly = Phrase("exactly one of {forms}", "exactamente uno de {forms}", forms=", ".join(FORMS))
    if len(found) != 1:
        raise _invalid("body", ", ".join(found) or NOTHING, exactly)
    for name in document:
        if name not in (*FORMS, "params"):
            known = closest(name[:64], [*FORMS, "params"])
            raise _invalid(
                name[:64],
                Phrase("an unknown field", "un campo desconocido"),
                Phrase("one of {known}", "uno de {known}", known=known),
            )
    return found[0]


def _unit(params: Any) -> str | None:
    """Read the params: the unit of an experiment is the only one that a model of ours takes."""
    if params is None:
        return None
    if not isinstance(params, JsonObject):
        raise _invalid("params", describe(params), _OBJECT)
    for name in params:
        if name != _UNIT:
            raise _invalid(
                f"params.{name[:64]}",
                Phrase("an unknown one", "uno desconocido"),
                Phrase("only {name}", "solo {name}", name=_UNIT),
            )
    try:
        return read_key(params.get(_UNIT))
    except Fault as fault:
        raise _invalid(f"params.{_UNIT}", fault.found, fault.expected) from None


def _split(decoder: RowDecoder, sent: Any, max_rows: int) -> Sequence[Any]:
    if not isinstance(sent, JsonObject):
        raise _invalid(SPLIT, describe(sent), _OBJECT)
    astray = [*sent.duplicates, *(name for name in sent if name not in _SPLIT_FIELDS)]
    if astray:
        raise _invalid(
            f"{SPLIT}.{astray[0][:64]}",
            Phrase("this field", "este campo"),
            Phrase(
                "{names}, each once", "{names}, cada uno una vez", names=", ".join(_SPLIT_FIELDS)
            ),
        )
    columns = sent.get("columns")
    if not isinstance(columns, list):
        found = NOTHING if columns is None else describe(columns)
        raise _invalid(f"{SPLIT}.columns", found, _LIST)
    _check_names(columns, f"{SPLIT}.columns")
    return _positional(
        decoder, columns, _counted(f"{SPLIT}.data", sent.get("data"), max_rows), f"{SPLIT}.data"
    )


def _columns(decoder: RowDecoder, sent: JsonObject, max_rows: int) -> Sequence[Any]:
    """Read columns by name, each a list, or a list of lists of one."""
    if sent.duplicates:
        raise _invalid(f"{INPUTS}.{sent.duplicates[0][:64]}", TWICE, ONCE)
    columns: list[list[Any]] = []
    for name, values in sent.items():
        place = f"{INPUTS}.{name[:64]}"
        column = _counted(place, values, max_rows)
        if all(isinstance(one, list) and len(one) == 1 for one in column):
            column = [one[0] for one in column]
        if columns and len(column) != len(columns[0]):
            raise _invalid(place, _n_rows(len(column)), _n_rows(len(columns[0])))
        columns.append(column)
    if not columns:
        raise _invalid(INPUTS, _n_rows(0), _n_rows(1))
    return records_of(decoder, list(sent), columns)


def _rows(decoder: RowDecoder, form: str, sent: Any, max_rows: int) -> Sequence[Any]:
    """Read records; for the tensor forms also lists of values in the order of the schema."""
    rows = _counted(form, sent, max_rows)
    if form != RECORDS and all(isinstance(row, list) for row in rows):
        return _positional(decoder, decoder.names, rows, form)
    return tidy_records(decoder, rows)


def _positional(
    decoder: RowDecoder, names: Sequence[str], rows: list[Any], place: str
) -> Sequence[Any]:
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            found = _n_cells(len(row)) if isinstance(row, list) else describe(row)
            raise _invalid(f"{place}[{at}]", found, _n_cells(len(names)))
    return records_of(decoder, names, [list(column) for column in zip(*rows, strict=True)])


def _counted(place: str, sent: Any, max_rows: int) -> list[Any]:
    if not isinstance(sent, list):
        raise _invalid(place, NOTHING if sent is None else describe(sent), _LIST)
    if not sent:
        raise _invalid(place, _n_rows(0), _n_rows(1))
    if len(sent) > max_rows:
        raise TooManyRows(found=len(sent), limit=max_rows)
    return sent


def _check_names(names: Sequence[Any], place: str) -> None:
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise _invalid(place, describe(name), Phrase("names of columns", "nombres de columnas"))
        if name in seen:
            found = Phrase("{name} twice", "{name} dos veces", name=name[:64])
            raise _invalid(place, found, ONCE)
        seen.add(name)
    if not names:
        raise _invalid(place, NOTHING, Phrase("names of columns", "nombres de columnas"))


def _lines(body: bytes) -> Iterator[tuple[int, list[str]]]:
    """Give the lines of a CSV with their numbers; blank ones are passed over."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Phrase("byte {at}", "el byte {at}", at=error.start)
        raise _invalid(place, Phrase("no UTF-8", "algo que no es UTF-8"), "UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        place = Phrase("line {line}", "la línea {line}", line=reader.line_num)
        raise _invalid(place, str(error), "CSV") from None


def _number(cell: str) -> Any:
    text = cell.strip()
    if text.lower() in _NO_NUMBER:
        return None
    if "_" not in text:  # Python reads 1_000 as a number, nobody else does
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                pass
    return cell  # the row's own check says what is wrong with it


def _empty(decoder: RowDecoder, name: str, column: list[str]) -> list[Any]:
    """Give a column of words with None for empty cells; a required free text may be empty."""
    if name in decoder.names:
        feature = decoder.schema[name]
        if isinstance(feature, Text) and feature.required:
            return list(column)
    return [cell or None for cell in column]


def _n_rows(n: int) -> Phrase:
    return Phrase("{n} rows", "{n} filas", n=n)


def _n_cells(n: int) -> Phrase:
    return Phrase("{n} values", "{n} valores", n=n)


def _invalid(place: str, found: str, expected: str) -> InvalidTable:
    return InvalidTable(place=place, found=found, expected=expected)
