import json
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from timonel.errors import MalformedInput
from timonel.schema.errors import InvalidRow
from timonel.schema.features import Category, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.schema.validation import Row, RowDecoder

SCHEMA = Schema(
    Number("edad", ge=0, le=120, unit="year"),
    Number("hijos", integer=True, ge=0),
    Category("sexo", ["Femenino", "Masculino"]),
    Category("zona", ["a:1", "b:2"], unseen="accept", case_insensitive=False),
    Flag("fuma"),
    Text("nota", max_length=20, required=False),
    Timestamp("desde", required=False),
)
GOOD: dict[str, Any] = {
    "edad": 41.5,
    "hijos": 2,
    "sexo": "Femenino",
    "zona": "a:1",
    "fuma": False,
    "nota": "x: y",
    "desde": "2026-03-01T12:00:00Z",
}
VALUES = (41.5, 2, "Femenino", "a:1", False, "x: y", 1_772_366_400_000_000)


@pytest.fixture(scope="module")
def decoder() -> RowDecoder:
    return RowDecoder(SCHEMA, model="salud", key="rut", timezone="America/Santiago")


def body(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def errors_of(decoder: RowDecoder, sent: bytes | dict[str, Any]) -> list[dict[str, Any]]:
    with pytest.raises(InvalidRow) as caught:
        decoder.decode(sent) if isinstance(sent, bytes) else decoder.row(sent)
    listed: list[dict[str, Any]] = caught.value.context["errors"]
    return listed


def test_a_good_row_takes_the_quick_way(
    decoder: RowDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RowDecoder, "row", lambda *_: pytest.fail("went the careful way"))
    assert decoder.decode(body(rut="12.345.678-9")) == Row(VALUES, "12.345.678-9")


def test_escapes_of_other_letters_stay_on_the_quick_way(
    decoder: RowDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RowDecoder, "row", lambda *_: pytest.fail("went the careful way"))
    sent = body(fuma="sí", nota="ñ: \n")
    assert b"\\u00ed" in sent
    assert decoder.decode(sent).values[4:6] == (True, "ñ: \n")


def test_the_careful_way_gives_the_same_row(decoder: RowDecoder) -> None:
    assert decoder.row(GOOD | {"rut": 12}) == Row(VALUES, "12")


@pytest.mark.parametrize(
    ("field", "sent", "read"),
    [
        ("edad", 41, 41.0),
        ("hijos", 3.0, 3),
        ("sexo", "masculino", "Masculino"),
        ("sexo", " FEMENINO ", "Femenino"),
        ("zona", "c:3", "c:3"),
        ("zona", "A:1", "A:1"),
        ("fuma", "Sí", True),
        ("fuma", "SI", True),
        ("fuma", "no", False),
        ("fuma", 1, True),
        ("fuma", 0.0, False),
        ("nota", None, None),
        ("nota", "ñandú 🦩", "ñandú 🦩"),
        ("desde", None, None),
        ("desde", "2026-03-01T12:00:00+00:00", VALUES[6]),
        ("desde", "2026-03-01T09:00:00", VALUES[6]),
        ("desde", "2026-03-01", VALUES[6] - 9 * 3_600_000_000),
    ],
)
def test_values_are_normalised_alike_on_both_ways(
    decoder: RowDecoder, field: str, sent: Any, read: Any
) -> None:
    at = SCHEMA.names.index(field)
    quick = decoder.decode(body(**{field: sent})).values[at]
    careful = decoder.row(GOOD | {field: sent}).values[at]
    assert (quick, careful) == (read, read)
    assert type(quick) is type(careful) is type(read)


@pytest.mark.parametrize(
    ("field", "literal", "code", "found", "expected"),
    [
        ("edad", '"1,5"', "wrong_type", 'the text "1,5"', "decimal comma: 1.5"),
        ("edad", '"1.234,5"', "wrong_type", "", "decimal comma: 1234.5"),
        ("edad", '"7"', "wrong_type", 'the text "7"', "without quotes: 7"),
        ("edad", '"old"', "wrong_type", 'the text "old"', "a number from 0 to 120 (year)"),
        ("edad", "true", "wrong_type", "true", "a number"),
        ("edad", "{}", "wrong_type", "an object", "a number"),
        ("edad", "[1]", "wrong_type", "a list of 1", "a number"),
        ("edad", "null", "null", "null", "a number from 0 to 120"),
        ("edad", "NaN", "not_finite", "NaN", "a missing value is null"),
        ("edad", "-Infinity", "not_finite", "-Infinity", "a number"),
        ("edad", "1e400", "not_finite", "1e400", "a number"),
        ("edad", "9" * 5000, "not_finite", "5000 characters", "a number"),
        ("edad", "9" * 350, "not_finite", "1163 bits", "a number"),
        ("edad", "120.0001", "out_of_range", "120.0001", "from 0 to 120"),
        ("hijos", "2.5", "not_whole", "2.5", "a whole number of at least 0"),
        ("hijos", "-1", "out_of_range", "-1", "at least 0"),
        ("hijos", "1e300", "out_of_range", "1e+300", "a whole number"),
        ("hijos", str(2**64), "out_of_range", str(2**64), "a whole number"),
        ("sexo", '"Femenin"', "unknown_category", "Femenin", "one of Femenino, Masculino"),
        ("sexo", "1", "wrong_type", "1", "one of Femenino, Masculino"),
        ("fuma", "2", "wrong_type", "2", "true or false"),
        ("fuma", '"quizás"', "wrong_type", "quizás", "si/no"),
        ("nota", f'"{"x" * 21}"', "too_long", "21 characters", "at most 20"),
        ("nota", "3", "wrong_type", "3", "a text"),
        ("desde", '"01/03/2026"', "not_a_time", "01/03/2026", "ISO 8601"),
        ("desde", '"0001-01-01T00:00:00+23:59"', "not_a_time", "0001", "ISO 8601"),
        ("desde", "1772366400", "wrong_type", "1772366400", "ISO 8601"),
        ("rut", '""', "invalid_key", "", "1 to 256 printable characters"),
        ("rut", '"a\\u0000b"', "invalid_key", "", "printable"),
        ("rut", "1.5", "wrong_type", "1.5", "a whole number"),
        ("rut", "true", "wrong_type", "true", "a text"),
    ],
)
def test_every_bad_value_is_named(
    decoder: RowDecoder, field: str, literal: str, code: str, found: str, expected: str
) -> None:
    sent = json.dumps({k: v for k, v in GOOD.items() if k != field})[:-1]
    (error,) = errors_of(decoder, f'{sent}, "{field}": {literal}}}'.encode())
    assert (error["field"], error["code"]) == (field, code)
    assert found in error["found"]
    assert expected in error["expected"]


def test_all_errors_of_a_row_are_listed_in_one_answer(decoder: RowDecoder) -> None:
    sent = {"edad": "x", "sexo": "?", "zona": "a:1", "edda": 3, "nota": 5}
    assert [(e["field"], e["code"]) for e in errors_of(decoder, sent)] == [
        ("edad", "wrong_type"),
        ("hijos", "missing"),
        ("sexo", "unknown_category"),
        ("fuma", "missing"),
        ("nota", "wrong_type"),
        ("edda", "unknown_field"),
    ]


def test_an_unknown_field_is_told_the_closest_name_first(decoder: RowDecoder) -> None:
    (error,) = errors_of(decoder, body(edda=3))
    assert error["expected"].startswith("a field of the schema: edad, ")


@pytest.mark.parametrize("repeated", ['"edad": 3', '"nota": "x"', '"zona": "b:2"', '"rut": "1"'])
def test_a_duplicated_field_is_found_though_the_fast_decoder_passes_over_it(
    decoder: RowDecoder, repeated: str
) -> None:
    sent = body(rut="1").decode()[:-1] + f", {repeated}}}"
    (error,) = errors_of(decoder, sent.encode())
    assert (error["code"], error["field"]) == ("duplicate_field", repeated.split('"')[1])


def test_an_escaped_colon_cannot_hide_a_duplicate(decoder: RowDecoder) -> None:
    sent = body(nota="12 34").decode().replace("12 34", "12\\u003a34")[:-1] + ', "edad": 3}'
    assert [e["code"] for e in errors_of(decoder, sent.encode())] == ["duplicate_field"]


@pytest.mark.parametrize("root", [b"[]", b"3", b"null", b'"x"', b"[{}]"])
def test_another_root_is_refused(decoder: RowDecoder, root: bytes) -> None:
    (error,) = errors_of(decoder, root)
    assert error["code"] == "wrong_type"
    assert "an object of field names and values" in error["expected"]


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (b"", "an empty body"),
        (b"  \n", "an empty body"),
        (b'{"edad": ', "line 1"),
        (b'{"edad": 3,}', "line 1"),
        (b"{'edad': 3}", "line 1, column 2"),
        (b'{"edad": 3} {}', "extra data"),
        (b'{"nota": "\xff"}', "0xff at position 10"),
        (b'{"nota": "\\ud800"}', "surrogate"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 100_000, "nested"),
        (b"\x1f\x8b\x08", "0x8b"),
    ],
)
def test_what_is_no_json_is_malformed(decoder: RowDecoder, sent: bytes, found: str) -> None:
    with pytest.raises(MalformedInput) as caught:
        decoder.decode(sent)
    assert found in caught.value.context["found"]


def test_a_byte_order_mark_is_passed_over(decoder: RowDecoder) -> None:
    assert decoder.decode(b"\xef\xbb\xbf" + body()).values == VALUES


def test_the_log_reads_back_to_the_same_row(decoder: RowDecoder) -> None:
    for changes in ({}, {"nota": None, "desde": None}, {"desde": "2026-03-01T12:00:00.123456"}):
        row = decoder.decode(body(**changes))
        assert decoder.decode(decoder.log(row.values)).values == row.values


def test_rules_see_moments_in_the_zone_of_the_project(decoder: RowDecoder) -> None:
    row = decoder.document(VALUES)
    assert row["desde"] == datetime(2026, 3, 1, 9, tzinfo=ZoneInfo("America/Santiago"))
    assert row["desde"].hour == 9
    assert list(row) == list(SCHEMA.names)


def test_python_dates_are_read_as_iso_text_is(decoder: RowDecoder) -> None:
    zone = ZoneInfo("America/Santiago")
    aware = datetime(2026, 3, 1, tzinfo=zone)
    for sent in (date(2026, 3, 1), aware.replace(tzinfo=None), aware):
        assert decoder.row(GOOD | {"desde": sent}).values[6] == VALUES[6] - 9 * 3_600_000_000


def test_rows_lists_the_errors_of_all_rows(decoder: RowDecoder) -> None:
    with pytest.raises(InvalidRow) as caught:
        decoder.rows([GOOD, GOOD | {"edad": -1}, {}])
    listed = caught.value.context["errors"]
    assert [(e["row"], e["field"]) for e in listed[:2]] == [(1, "edad"), (2, "edad")]
    assert len(listed) == 6
    assert "6 field(s)" in caught.value.message()


def test_strange_field_names_need_no_escape() -> None:
    names = ['with "quotes"', "two\nlines", "a b", "class", "f1", "key", "ñ:x", "__init__", "self"]
    decoder = RowDecoder(Schema(*(Number(name) for name in names)), model="m")
    sent = {name: float(at) for at, name in enumerate(names)}
    assert decoder.decode(json.dumps(sent, ensure_ascii=False).encode()).values == tuple(range(9))


def test_a_key_that_is_not_declared_is_an_unknown_field() -> None:
    decoder = RowDecoder(Schema(Number("x")), model="m")
    assert [e["code"] for e in errors_of(decoder, b'{"x": 1, "rut": "1"}')] == ["unknown_field"]
