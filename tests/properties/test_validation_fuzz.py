"""Whatever bytes come, the decoder gives a row or one of its own two errors."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from timonel.errors import MalformedInput, TimonelError
from timonel.schema.errors import InvalidRow
from timonel.schema.features import Category, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema
from timonel.schema.validation import Row, RowDecoder
from timonel.serving.routes.requests import PredictRequest, RequestReader
from timonel.wire.errors import InvalidRequest, TooManyRows

SCHEMA = Schema(
    Number("x", ge=-1e6, le=1e6),
    Number("n", integer=True, required=False),
    Category("c", ["uno", "dos"]),
    Flag("f", required=False),
    Text("t", max_length=50, required=False),
    Timestamp("at", required=False),
)
DECODER = RowDecoder(SCHEMA, model="m", key="rut", timezone="America/Santiago")
READER = RequestReader(DECODER)
REFUSALS = (InvalidRow, MalformedInput, InvalidRequest, TooManyRows)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["uno", "DOS", "si", "NO", "2026-01-01", "2026-01-01T10:00:00-03:00", "1,5"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
names = st.sampled_from([*SCHEMA.names, "rut", "y", "X"]) | st.text(max_size=6)
rows = st.dictionaries(names, values, max_size=8)
required: dict[str, st.SearchStrategy[Any]] = {
    "x": st.floats(-1e6, 1e6),
    "c": st.sampled_from(["uno", "dos", "UNO", " dos"]),
}
optional: dict[str, st.SearchStrategy[Any]] = {
    "n": st.integers(-(2**53), 2**53),
    "f": st.booleans() | st.sampled_from(["si", "no", 0, 1]),
    "t": st.text(st.characters(codec="utf-8"), max_size=50),
    "at": st.datetimes().map(lambda moment: moment.isoformat()),
    "rut": st.integers(0, 10**9) | st.text("0123456789-k", min_size=1, max_size=12),
}
good_rows = st.fixed_dictionaries(required, optional=optional)


def tried(call: Callable[[bytes], Any], body: bytes) -> Any:
    """Give what the call returns, or the refusal that it raises; any other error gets through."""
    try:
        return call(body)
    except REFUSALS as error:
        return error


def codes(error: InvalidRow) -> set[str]:
    return {one["code"] for one in error.context["errors"]}


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    assert isinstance(tried(DECODER.decode, body), (Row, *REFUSALS))
    assert isinstance(tried(lambda sent: READER.read(sent, 10), body), (PredictRequest, *REFUSALS))


@settings(max_examples=150)
@given(rows | values)
def test_any_json(sent: Any) -> None:
    found = tried(DECODER.decode, json.dumps(sent).encode())
    if isinstance(found, TimonelError):
        for lang in ("en", "es"):
            assert found.message(lang)
            assert found.remedy(lang)
        for one in found.context.get("errors", []):
            assert set(one) == {"row", "field", "code", "found", "expected"}


@settings(max_examples=40)
@given(st.dictionaries(st.text(max_size=6) | st.just("inputs"), rows | st.lists(rows | values)))
def test_any_request(sent: Any) -> None:
    found = tried(lambda body: READER.read(body, 5), json.dumps(sent).encode())
    assert isinstance(found, REFUSALS) or found.rows


@settings(max_examples=150)
@given(good_rows)
def test_both_ways_agree_and_the_log_reads_back(sent: dict[str, Any]) -> None:
    found = tried(DECODER.decode, json.dumps(sent, ensure_ascii=False).encode())
    if isinstance(found, InvalidRow):  # the ends of the calendar are not served
        assert codes(found) == {"not_a_time"}
        return
    assert found == DECODER.row(sent)
    assert DECODER.decode(DECODER.log(found.values)).values == found.values


@given(good_rows, st.data())
def test_a_duplicated_key_is_never_passed_over(sent: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(sent)))
    text = json.dumps(sent, ensure_ascii=False)
    again = json.dumps({name: sent[name]}, ensure_ascii=False)
    found = tried(DECODER.decode, f"{text[:-1]}, {again[1:]}".encode())
    assert "duplicate_field" in codes(found)
