"""Facts of a message are said in the language of the sentence around them."""

import pickle
import re
from typing import Any

import msgspec
import pytest

from timonel.errors import Phrase, TimonelError, in_language, summary_of
from timonel.schema.errors import InvalidRow
from timonel.schema.features import Category, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.schema.validation import RowDecoder
from timonel.serving.errors import InvalidOutcome
from timonel.serving.routes.outcomes import OutcomeReader
from timonel.serving.routes.requests import RequestReader
from timonel.wire.problem import problem

DECODER = RowDecoder(
    Schema(
        Number("deuda", ge=0, le=9, unit="CLP"),
        Number("visitas", integer=True),
        Category("comuna", ["Ñuñoa", "Maipú"]),
        Flag("activo"),
        Text("nota", max_length=5),
        Timestamp("alta"),
    ),
    model="m",
    key="rut",
)
GOOD: dict[str, Any] = {
    "deuda": 1,
    "visitas": 2,
    "comuna": "Ñuñoa",
    "activo": True,
    "nota": "hola",
    "alta": "2026-01-01",
    "rut": "1-9",
}
ENGLISH = re.compile(
    r"\b(found|expected|the|an|of|or|with|without|nothing|neither|both|number|text|whole|least|"
    r"most|than|it|once|more|list|line|byte at|missing)\b"
)


@pytest.mark.parametrize(
    "change",
    [
        {"deuda": -1},
        {"deuda": "5"},
        {"deuda": "1.234,5"},
        {"deuda": None},
        {"deuda": 10**400},
        {"visitas": 1.5},
        {"visitas": [1]},
        {"comuna": "Nunoa"},
        {"comuna": {}},
        {"activo": "quizás"},
        {"nota": "demasiado"},
        {"nota": 3},
        {"alta": "01/02/2026"},
        {"alta": 5},
        {"rut": "x" * 257},
        {"rut": "a\0b"},
        {"rut": 1.5},
        {"otro": 1},
    ],
)
def test_a_refused_row_is_explained_in_one_language(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRow) as caught:
        DECODER.row(GOOD | change)
    assert_one_language(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"inputs": {"deuda": NaN, "deuda": 1}, ',
        b"[]",
        b"{}",
        b'{"inputs": []}',
        b'{"inputs": {}, "partial": 3}',
        b'{"inputs": {}, "unit_id": ""}',
        b'{"inputs": {}, "prediction_id": "x"}',
        b'{"inputs": {}, "otro": 1}',
        b'{"inputs": {}, "inputs": {}}',
        b'{"deuda": 1}',
        b'"\\ud800"',
    ],
)
def test_a_refused_request_is_explained_in_one_language(body: bytes) -> None:
    with pytest.raises(TimonelError) as caught:
        RequestReader(DECODER).read(body, 10)
    assert_one_language(caught.value)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"prediction_id": "x", "value": 1},
        {"key": "a", "prediction_id": "x", "value": 1},
        {"key": "a" * 300, "value": 1},
        {"key": "a", "value": []},
        {"key": "a", "value": "\0"},
        {"key": "a", "value": 2**70},
        {"key": "a", "value": 1, "at": "ayer"},
        {"key": "a", "value": 1, "otro": 1},
        {"outcomes": []},
        {"outcomes": [1]},
        [],
    ],
)
def test_a_refused_outcome_is_explained_in_one_language(sent: Any) -> None:
    reader = OutcomeReader("m", "rut", "UTC")
    with pytest.raises(InvalidOutcome) as caught:
        reader.read(msgspec.json.encode(sent), at=0, next_id=lambda: b"", max_rows=9)
    assert_one_language(caught.value)


def assert_one_language(error: TimonelError) -> None:
    spanish = problem(error, lang="es")
    assert not ENGLISH.findall(re.sub(r"`[^`]*`|\"[^\"]*\"", "", spanish["detail"])), spanish
    for one in spanish.get("errors", []):
        assert f"hay {one['found']}, se esperaba {one['expected']}" in spanish["detail"]
    assert " hay " not in problem(error)["detail"]
    msgspec.json.encode(spanish)
    msgspec.json.encode(problem(error))
    assert pickle.loads(pickle.dumps(error)).message("es") == error.message("es")


def test_a_phrase_is_its_english_text_and_takes_phrases_in() -> None:
    number = Phrase("a number", "un número")
    phrase = Phrase("{what} of at least {n:g}", "{what} de al menos {n:g}", what=number, n=3.0)
    assert phrase == "a number of at least 3"
    assert in_language([{"x": phrase}], "es") == [{"x": "un número de al menos 3"}]
    assert type(in_language(phrase, "en")) is str
    assert Phrase("{", "}").es == "}"


def test_a_summary_names_five_faults_and_counts_the_rest() -> None:
    faults = [{"field": f"f{n}", "found": "1", "expected": "2"} for n in range(7)]
    said = summary_of(faults)
    assert said.endswith("f4: found 1, expected 2; and 2 more")
    assert said.es.endswith("f4: hay 1, se esperaba 2; y 2 más")
