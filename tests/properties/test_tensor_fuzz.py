"""Whatever bytes come as tensors: they are read exactly, or refused by an error of ours."""

import json
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from timonel.errors import TimonelError
from timonel.schema.validation import Row
from timonel.serving.protocols.inference import InferBody
from timonel.serving.protocols.scoring_tables import ScoringCsv, ScoringJson
from timonel.serving.protocols.tensors import DATATYPES, TensorHead, from_bytes, to_bytes
from timonel.serving.versions.snapshot import ServedVersion, load_version
from timonel.store.lean import ServingRow
from timonel.testing.serving import linear_manifest

FORMATS = {
    "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
    "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q",
    "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
MAX_ROWS = 50
NUMBERS = st.floats(0, 100)
WHOLE = st.integers(0, 100)
PORTS = st.sampled_from(["Arica", "Quintero", "quintero"])
ROWS = st.lists(st.tuples(NUMBERS, WHOLE, PORTS), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def version() -> ServedVersion:
    manifest = linear_manifest()
    row = ServingRow("churn", "champion", "1.0.0", manifest.digest(), manifest.encode().decode())

    def artifact(sha256: str) -> bytes:
        raise AssertionError(sha256)

    return load_version(row, artifact, native=False)


def head(datatype: str, n: int) -> TensorHead:
    return TensorHead("x", datatype, n, nested=True)


@given(st.sampled_from(sorted(FORMATS)), st.integers(0, 40), st.data())
def test_numbers_are_read_as_struct_reads_them(datatype: str, n: int, data: st.DataObject) -> None:
    size = struct.calcsize(FORMATS[datatype])
    raw = data.draw(st.binary(min_size=n * size, max_size=n * size))
    found = from_bytes(head(datatype, n), memoryview(raw))
    expected = struct.unpack(f"<{n}{FORMATS[datatype]}", raw)
    assert [repr(one) for one in found] == [repr(one) for one in expected]  # NaN is itself


@given(st.lists(st.text(), max_size=20))
def test_texts_come_back(texts: list[str]) -> None:
    data = to_bytes("BYTES", texts)
    assert from_bytes(head("BYTES", len(texts)), memoryview(data)) == texts


@given(st.sampled_from(DATATYPES), st.integers(0, 6), st.binary(max_size=64))
@example("BYTES", 2, b"\xff\xff\xff\xff")
@example("BYTES", 1, b"\xff\xff\xff\x7fab")
@example("BOOL", 1, b"\x02")
def test_any_bytes_are_read_whole_or_refused(datatype: str, n: int, data: bytes) -> None:
    try:
        values = from_bytes(head(datatype, n), memoryview(data))
    except TimonelError:
        return
    assert len(values) == n
    if datatype != "BF16" and all(value == value for value in values):
        assert to_bytes(datatype, values) == data


def infer_body(rows: list[tuple[float, int, str]]) -> tuple[bytes, int]:
    n = len(rows)
    columns = {
        ("visits", "FP64"): struct.pack(f"<{n}d", *(row[0] for row in rows)),
        ("calls", "INT32"): struct.pack(f"<{n}i", *(row[1] for row in rows)),
        ("port", "BYTES"): to_bytes("BYTES", [row[2] for row in rows]),
    }
    tensors = [
        {
            "name": name,
            "datatype": datatype,
            "shape": [n, 1],
            "parameters": {"binary_data_size": len(data)},
        }
        for (name, datatype), data in columns.items()
    ]
    text = json.dumps({"inputs": tensors}).encode()
    return text + b"".join(columns.values()), len(text)


@given(ROWS)
def test_good_rows_arrive_as_they_were(
    version: ServedVersion, rows: list[tuple[float, int, str]]
) -> None:
    body, size = infer_body(rows)
    read = InferBody(body, size, "/v2/models/churn/infer").read(version, MAX_ROWS).rows
    assert [one.values[:3] for one in read if isinstance(one, Row)] == [
        (visits, calls, port.capitalize()) for visits, calls, port in rows
    ]


@given(
    ROWS,
    st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=4)), max_size=4),
    st.integers(0, 40),
    st.integers(-3, 3),
)
def test_damaged_bodies_are_refused_or_are_rows(
    version: ServedVersion,
    rows: list[tuple[float, int, str]],
    damage: list[tuple[int, bytes]],
    cut: int,
    shift: int,
) -> None:
    body, size = infer_body(rows)
    damaged = bytearray(body)
    for at, piece in damage:
        at %= len(damaged)
        damaged[at : at + len(piece)] = piece
    damaged = damaged[: len(damaged) - cut]
    sent = InferBody(bytes(damaged), max(0, size + shift), "/v2/models/churn/infer")
    try:
        read = sent.read(version, MAX_ROWS).rows
    except TimonelError:
        return
    assert 0 < len(read) <= MAX_ROWS
    assert all(isinstance(one, Row | list) for one in read)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["visits", "calls", "port", "columns", "data", "name", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
FRAMES = st.dictionaries(
    st.sampled_from(
        ["inputs", "outputs", "parameters", "id", "instances", "dataframe_split",
         "dataframe_records", "params"]
    ),
    JSON,
    max_size=3,
)  # fmt: skip
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["visits", "calls", "port", "open", "rut"]),
        "datatype": st.sampled_from([*DATATYPES, "FP8"]),
        "shape": st.lists(st.integers(-1, 60), max_size=3),
        "data": JSON,
    }
)


@given(FRAMES | st.lists(TENSORS, max_size=5).map(lambda tensors: {"inputs": tensors}))
def test_any_json_is_refused_or_read(version: ServedVersion, document: Any) -> None:
    body = json.dumps(document).encode()
    for sent in (InferBody(body, None, "/v2/models/churn/infer"), ScoringJson(body)):
        try:
            read = sent.read(version, MAX_ROWS).rows
        except TimonelError:
            continue
        assert 0 < len(read) <= MAX_ROWS


@given(
    st.binary(max_size=80)
    | st.text(st.sampled_from('visitscallsport,\n\r"1.5;Arica'), max_size=80).map(str.encode)
)
def test_any_csv_is_refused_or_read(version: ServedVersion, body: bytes) -> None:
    for text in (body, b"visits,calls,port\n" + body):
        try:
            read = ScoringCsv(text).read(version, MAX_ROWS).rows
        except TimonelError:
            continue
        assert 0 < len(read) <= MAX_ROWS
