"""The Open Inference Protocol over ASGI, on real parts: what is right, and every kind of wrong."""

import gzip
import json
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.http import protocols

from timonel.serving.config import WorkerConfig
from timonel.testing.builders import open_registry
from timonel.testing.serving import SCHEMA, ServingWorld

INFER = "/v2/models/churn/infer"
HEAD = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingWorld]:
    folder = tmp_path_factory.mktemp("world")
    url = f"sqlite:///{folder / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        yield protocols.open_world(folder, url, registry)


@pytest.fixture
def config(base: ServingWorld, tmp_path: Path) -> WorkerConfig:
    return base.config(spool=tmp_path / "spool", slot=tmp_path / "metrics")


@pytest.fixture
async def client(config: WorkerConfig) -> AsyncIterator[httpx.AsyncClient]:
    async with protocols.serving(config) as (_, client):
        yield client


def tensor(name: str, datatype: str, data: list[Any], **changes: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data), 1], "data": data} | changes


def inputs(n: int = 2, **changes: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The tensors of n good rows; a change replaces one, None leaves it out."""
    tensors: dict[str, dict[str, Any] | None] = {
        "visits": tensor("visits", "FP64", [3.5] * n),
        "calls": tensor("calls", "INT64", [2] * n),
        "port": tensor("port", "BYTES", ["Arica"] * n),
    }
    return [one for one in (tensors | changes).values() if one is not None]


def as_bytes(head: dict[str, Any], *parts: bytes) -> dict[str, Any]:
    """The arguments of a request with binary tensors."""
    text = json.dumps(head).encode()
    return {"content": text + b"".join(parts), "headers": {HEAD: str(len(text))}}


def binary(name: str, datatype: str, n: int, data: bytes, **parameters: Any) -> dict[str, Any]:
    return {
        "name": name,
        "datatype": datatype,
        "shape": [n, 1],
        "parameters": {"binary_data_size": len(data), **parameters},
    }


def words(*texts: str | bytes) -> bytes:
    data = [one if isinstance(one, bytes) else one.encode() for one in texts]
    return b"".join(struct.pack("<I", len(one)) + one for one in data)


def outputs(response: httpx.Response) -> dict[str, list[Any]]:
    assert response.status_code == 200, response.text
    return {one["name"]: one["data"] for one in response.json()["outputs"]}


def refused(response: httpx.Response, status: int, *parts: str) -> None:
    """It is an error in the protocol's own form, and its text names what is wrong."""
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert (response.status_code, list(document)) == (status, ["error"]), document
    for part in parts:
        assert part in document["error"], document["error"]


# --- what the server says of itself


async def test_health_metadata_and_readiness(client: httpx.AsyncClient) -> None:
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert (await client.get(path)).status_code == 200
    server = (await client.get("/v2")).json()
    assert server["name"] == "timonel"
    assert "binary_tensor_data" in server["extensions"]
    for path in ("/v2/models/churn/ready", "/v2/models/churn/versions/1.0.0/ready"):
        assert (await client.get(path)).status_code == 200
    assert (await client.get("/v2/models/ruled/ready")).status_code == 200  # by its rules
    refused(await client.get("/v2/models/bare/ready"), 400, "bare")
    refused(await client.get("/v2/models/nobody/ready"), 404, "nobody", "churn")


async def test_metadata_comes_from_the_schema(client: httpx.AsyncClient) -> None:
    document = (await client.get("/v2/models/churn")).json()
    assert document["versions"] == ["1.0.1", "1.0.0"]
    assert document["inputs"] == [
        {"name": "visits", "datatype": "FP64", "shape": [-1, 1]},
        {"name": "calls", "datatype": "INT64", "shape": [-1, 1]},
        {"name": "port", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "open", "datatype": "BOOL", "shape": [-1, 1]},
        {"name": "since", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "rut", "datatype": "BYTES", "shape": [-1, 1]},
    ]
    assert {one["name"]: (one["datatype"], one["shape"]) for one in document["outputs"]} == {
        "prediction": ("INT64", [-1, 1]),
        "score": ("FP64", [-1, 1]),
        "probabilities": ("FP64", [-1, 2]),
        "source": ("BYTES", [-1, 1]),
        "reason": ("BYTES", [-1, 1]),
        "version": ("BYTES", [-1, 1]),
        "prediction_id": ("BYTES", [-1, 1]),
    }


async def test_the_repository_lists_what_is_loaded_and_changes_nothing(
    client: httpx.AsyncClient,
) -> None:
    for body in (b"", b"{}"):
        listed = (await client.post("/v2/repository/index", content=body)).json()
        assert {(one["name"], one["version"], one["state"]) for one in listed} == {
            ("churn", "1.0.1", "READY"),
            ("churn", "1.0.0", "READY"),
            ("ruled", "", "READY"),
            ("bare", "", "UNAVAILABLE"),
        }
    ready = (await client.post("/v2/repository/index", json={"ready": True})).json()
    assert "bare" not in {one["name"] for one in ready}
    assert (await client.post("/v2/repository/models/churn/load")).json() == {}
    override = {"parameters": {"config": "{}"}}
    load = "/v2/repository/models/churn/load"
    refused(await client.post(load, json=override), 409, "churn", "promote")
    refused(await client.post("/v2/repository/models/churn/unload"), 409, "churn", "promote")
    refused(await client.post("/v2/repository/models/nobody/load"), 404, "nobody")
    refused(await client.post("/v2/repository/models/bare/load"), 503, "bare")


# --- answers


async def test_json_tensors_are_answered_and_logged(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    body = {
        "id": "r-7",
        "inputs": inputs(
            rut=tensor("rut", "BYTES", ["1-9", None]), visits=tensor("visits", "FP64", [3.5, 0.5])
        ),
        "parameters": {"unit_id": "u1", "priority": 3},
    }
    response = await client.post(INFER, json=body)
    document = response.json()
    assert (document["model_name"], document["model_version"], document["id"]) == (
        "churn", "1.0.1", "r-7",
    )  # fmt: skip
    found = outputs(response)
    expected = [1 / (1 + np.exp(1.5)), 1 / (1 + np.exp(-1.5))]
    assert found["score"] == pytest.approx(expected)
    assert found["prediction"] == [0, 1]
    assert found["probabilities"] == pytest.approx(
        [1 - expected[0], expected[0], 1 - expected[1], expected[1]]
    )
    assert found["source"] == ["model", "model"]
    shapes = {one["name"]: one["shape"] for one in document["outputs"]}
    assert (shapes["score"], shapes["probabilities"]) == ([2, 1], [2, 2])
    by_name = {one["name"]: one for one in document["outputs"]}
    assert by_name["probabilities"]["parameters"] == {"classes": '["0","1"]'}
    logged = protocols.predictions(config)
    assert [frame.score for frame in logged] == found["score"]
    assert [frame.key for frame in logged] == ["1-9", None]
    assert {frame.unit for frame in logged} == {"u1"}


async def test_binary_tensors_in_and_out_hold_the_same_values(client: httpx.AsyncClient) -> None:
    visits = np.array([3.5, 0.5], "<f8").tobytes()
    calls, flags = np.array([2, 1], "<i8").tobytes(), bytes([1, 0])
    ports = words("Arica", "quintero")
    head = {
        "inputs": [
            binary("visits", "FP64", 2, visits),
            binary("calls", "INT64", 2, calls),
            binary("port", "BYTES", 2, ports),
            binary("open", "BOOL", 2, flags),
            tensor("since", "BYTES", ["2026-03-01", ""]),
        ],
        "parameters": {"binary_data_output": True},
    }
    response = await client.post(INFER, **as_bytes(head, visits, calls, ports, flags))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/octet-stream"
    size = int(response.headers[HEAD])
    document, rest = json.loads(response.content[:size]), response.content[size:]
    found: dict[str, bytes] = {}
    for one in document["outputs"]:
        n = one["parameters"]["binary_data_size"]
        found[one["name"]], rest = rest[:n], rest[n:]
    assert rest == b""
    plain = {
        "inputs": [
            tensor("visits", "FP64", [3.5, 0.5]),
            tensor("calls", "INT64", [2, 1]),
            tensor("port", "BYTES", ["Arica", "Quintero"]),
        ]
    }
    same = outputs(await client.post(INFER, json=plain))
    assert np.frombuffer(found["score"], "<f8").tolist() == same["score"]
    assert np.frombuffer(found["prediction"], "<i8").tolist() == same["prediction"]
    assert found["source"] == words("model", "model")
    assert len(found["prediction_id"]) == 2 * 40


async def test_requested_outputs_come_alone_and_in_order(client: httpx.AsyncClient) -> None:
    asked = [{"name": "source"}, {"name": "score", "parameters": {"binary_data": True}}]
    response = await client.post(INFER, json={"inputs": inputs(), "outputs": asked})
    size = int(response.headers[HEAD])
    document = json.loads(response.content[:size])
    assert [one["name"] for one in document["outputs"]] == ["source", "score"]
    assert document["outputs"][0]["data"] == ["model", "model"]
    assert document["outputs"][1]["parameters"] == {"binary_data_size": 16}
    assert len(response.content) - size == 16


async def test_a_version_is_asked_by_its_number(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    answers = {}
    for number in ("1.0.0", "1.0.1"):
        path = f"/v2/models/churn/versions/{number}/infer"
        response = await client.post(path, json={"inputs": inputs(1)})
        assert response.json()["model_version"] == number
        answers[number] = outputs(response)["score"][0]
    assert answers["1.0.0"] > 0.9 > 0.2 > answers["1.0.1"]
    assert [frame.version for frame in protocols.predictions(config)] == ["1.0.0", "1.0.1"]
    gone = await client.post("/v2/models/churn/versions/9.9.9/infer", json={"inputs": inputs(1)})
    refused(gone, 404, "9.9.9", "1.0.1", "1.0.0")
    refused(await client.get("/v2/models/churn/versions/9.9.9"), 404, "1.0.1")


async def test_rules_answer_where_there_is_no_version(client: httpx.AsyncClient) -> None:
    found = outputs(await client.post("/v2/models/ruled/infer", json={"inputs": inputs(1)}))
    assert (found["source"], found["reason"]) == (["rules"], ["no_version"])
    assert found["prediction"] == ["0"]  # no classes are known yet: a class is a text
    refused(await client.post("/v2/models/bare/infer", json={"inputs": inputs(1)}), 503, "bare")


async def test_flat_shapes_nested_data_and_missing_values(client: httpx.AsyncClient) -> None:
    tensors = inputs(
        visits=tensor("visits", "FP32", [[3.5], [0.5]]),
        calls=tensor("calls", "UINT8", [2, 2], shape=[2]),
        open=tensor("open", "BOOL", [None, True]),
    )
    assert len(outputs(await client.post(INFER, json={"inputs": tensors}))["score"]) == 2


@pytest.mark.parametrize(
    ("datatype", "dtype"),
    [
        ("UINT8", "u1"), ("UINT16", "<u2"), ("UINT32", "<u4"), ("UINT64", "<u8"),
        ("INT8", "i1"), ("INT16", "<i2"), ("INT32", "<i4"), ("INT64", "<i8"),
        ("FP16", "<f2"), ("FP32", "<f4"), ("FP64", "<f8"),
    ],
)  # fmt: skip
async def test_every_numeric_datatype_is_read_exactly(
    client: httpx.AsyncClient, config: WorkerConfig, datatype: str, dtype: str
) -> None:
    data = np.array([3, 100, 0], dtype).tobytes()
    head = {"inputs": inputs(3, visits=binary("visits", datatype, 3, data))}
    assert (await client.post(INFER, **as_bytes(head, data))).status_code == 200
    logged = [json.loads(frame.features)["visits"] for frame in protocols.predictions(config)]
    assert logged == [3, 100, 0]


async def test_bfloat16_is_the_upper_half_of_a_float(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    data = (np.array([3.5, 0.5], "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    head = {"inputs": inputs(visits=binary("visits", "BF16", 2, data))}
    assert (await client.post(INFER, **as_bytes(head, data))).status_code == 200
    logged = [json.loads(frame.features)["visits"] for frame in protocols.predictions(config)]
    assert logged == [3.5, 0.5]


async def test_a_body_may_be_compressed(client: httpx.AsyncClient) -> None:
    data = np.array([3.5, 0.5], "<f8").tobytes()
    sent = as_bytes({"inputs": inputs(visits=binary("visits", "FP64", 2, data))}, data)
    sent["content"] = gzip.compress(sent["content"])
    sent["headers"]["Content-Encoding"] = "gzip"
    assert (await client.post(INFER, **sent)).status_code == 200


async def test_many_rows_keep_their_order(client: httpx.AsyncClient) -> None:
    n = 3000
    visits = np.linspace(0, 100, n)
    data, calls = visits.tobytes(), np.zeros(n, "<i8").tobytes()
    ports = words(*["Arica"] * n)
    head = {
        "inputs": [
            binary("visits", "FP64", n, data),
            binary("calls", "INT64", n, calls),
            binary("port", "BYTES", n, ports),
        ],
        "outputs": [{"name": "score", "parameters": {"binary_data": True}}],
    }
    response = await client.post(INFER, **as_bytes(head, data, calls, ports))
    assert response.status_code == 200, response.text
    scores = np.frombuffer(response.content[int(response.headers[HEAD]) :], "<f8")
    assert scores == pytest.approx(1 / (1 + np.exp(visits)))


# --- refusals

GOOD = np.array([3.5, 0.5], "<f8").tobytes()
WRONG_TENSORS: list[tuple[dict[str, Any], str]] = [
    (tensor("visits", "FP64", [1.0, 2.0, 3.0], shape=[2, 1]), "3 values"),
    (tensor("visits", "FP64", [1.0], shape=[2, 1]), "1 values"),
    (tensor("visits", "FP64", [1.0, 2.0, 3.0]), "3 rows"),
    (tensor("visits", "FP64", [1.0, 2.0], shape=[1, 2]), "[1, 2]"),
    (tensor("visits", "FP64", [1.0, 2.0], shape=[2, 1, 1]), "[2, 1, 1]"),
    (tensor("visits", "FP64", [1.0, 2.0], shape=[-1, 1]), "[-1, 1]"),
    (tensor("visits", "FP64", [1.0, 2.0], shape=[True, 1]), "true"),
    (tensor("visits", "FP64", [1.0, 2.0], shape=[2.0, 1]), "2.0"),
    (tensor("visits", "FP64", [1.0, 2.0], shape="2"), '"2"'),
    (tensor("visits", "FP64", [1.0, 2.0], shape=[]), "[]"),
    (tensor("visits", "FP64", [], shape=[0, 1]), "0 rows"),
    (tensor("visits", "FP128", [1.0, 2.0]), "FP128"),
    (tensor("visits", "BYTES", ["1", "2"]), "BYTES"),
    (tensor("visits", "BOOL", [True, False]), "BOOL"),
    (tensor("visits", 7, [1.0, 2.0]), "7"),  # type: ignore[arg-type]
    (tensor("visits", "INT64", [1.5, 2]), "1.5"),
    (tensor("visits", "INT8", [1, 300]), "300 in row 1"),
    (tensor("visits", "UINT8", [-1, 2]), "-1"),
    (tensor("visits", "FP16", [70000, 1]), "70000"),
    (tensor("visits", "FP64", ["1", 2]), '"1"'),
    (tensor("visits", "FP64", [True, 2]), "true"),
    (tensor("visits", "FP64", [[1.0, 2.0], [3.0, 4.0]]), "a list of 2"),
    (tensor("visits", "FP64", [], shape=[2, 1]) | {"data": {"0": 1}}, "an object"),
    ({"name": "visits", "datatype": "FP64", "shape": [2, 1]}, "nothing"),
    (tensor("visits", "FP64", [1.0, 2.0], parameters={"shared_memory_region": "x"}), "shared"),
    (tensor("visits", "FP64", [1.0, 2.0], parameters={"content_type": "base64"}), "base64"),
    (tensor("visits", "FP64", [1.0, 2.0], parameters={"binary_data_size": 16}), "both"),
    (tensor("visits", "FP64", [1.0, None]), "[1].visits"),
    (tensor("visits", "FP64", [1.0, 101]), "[1].visits"),
    (tensor("visitas", "FP64", [1.0, 2.0]), "visits"),
    (binary("visits", "FP64", 2, b"", binary_data_size=-1), "-1"),
    (binary("visits", "FP64", 2, b"", binary_data_size=2.5), "2.5"),
    (binary("visits", "FP64", 2, b"", binary_data_size=16), "0 bytes left"),
]


@pytest.mark.parametrize(("sent", "said"), WRONG_TENSORS)
async def test_a_wrong_tensor_is_never_answered(
    client: httpx.AsyncClient, config: WorkerConfig, sent: dict[str, Any], said: str
) -> None:
    refused(await client.post(INFER, json={"inputs": inputs(visits=sent)}), 400, said, "visit")
    assert protocols.predictions(config) == []
    assert len(protocols.refusals(config)) == 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "empty"),
        (b"[]", 400, "inputs"),
        (b"{", 400, "JSON"),
        (b"{}", 400, "inputs"),
        (b'{"inputs": []}', 400, "inputs"),
        (b'{"inputs": {}}', 400, "inputs"),
        (b'{"inputs": [1]}', 400, "a name"),
        (b'{"inputs": [{"name": 3}]}', 400, "a name"),
        (b'{"id": 3, "inputs": [1]}', 400, "id"),
        (b'{"inputs": [1], "inputs": [2]}', 400, "once"),
        (b'{"inputs": [{"name": "visits", "name": "calls"}]}', 400, "once"),
        (b'{"inputs": [1], "parameters": 3}', 400, "parameters"),
        (b'{"inputs": [1], "parameters": {"binary_data_output": 1}}', 400, "binary_data_output"),
        (b'{"inputs": [1], "parameters": {"unit_id": []}}', 400, "unit_id"),
        (b'{"inputs": [1], "outputs": 3}', 400, "outputs"),
        (b'{"inputs": [1], "outputs": [{"name": "scroe"}]}', 400, "score"),
        (b'{"inputs": [1], "outputs": [{"name": "score"}, {"name": "score"}]}', 400, "once"),
        (b'{"inputs":[1],"outputs":[{"name":"score","parameters":{"classification":2}}]}',
         400, "classification"),
        (b"\xff\xfe", 400, "0xff"),
        (b"[" * 100_000, 400, "nested"),
    ],
)  # fmt: skip
async def test_a_wrong_frame_is_refused(
    client: httpx.AsyncClient, body: bytes, status: int, said: str
) -> None:
    refused(await client.post(INFER, content=body), status, said)


async def test_a_tensor_twice_or_a_needed_one_missing_is_refused(client: httpx.AsyncClient) -> None:
    twice = [*inputs(), tensor("visits", "FP64", [9.0, 9.0])]
    refused(await client.post(INFER, json={"inputs": twice}), 400, "visits", "once")
    refused(await client.post(INFER, json={"inputs": inputs(port=None)}), 400, "port", "nothing")


async def test_nan_is_missing_only_where_something_may_be(client: httpx.AsyncClient) -> None:
    body = json.dumps({"inputs": inputs(visits=tensor("visits", "FP64", [1.0, float("nan")]))})
    refused(await client.post(INFER, content=body), 400, "[1].visits", "NaN")
    for bad in (float("nan"), float("inf")):
        data = np.array([bad, 1], "<f8").tobytes()
        head = {"inputs": inputs(visits=binary("visits", "FP64", 2, data))}
        refused(await client.post(INFER, **as_bytes(head, data)), 400, "visits")


@pytest.mark.parametrize(
    ("datatype", "data", "said"),
    [
        ("FP64", GOOD[:-1], "15 bytes"),
        ("FP64", GOOD + b"\0", "17 bytes"),
        ("FP32", GOOD, "16 bytes"),
        ("BYTES", words("Arica"), "row 1"),
        ("BYTES", words("Arica", "Arica")[:-1], "row 1"),
        ("BYTES", words("Arica", "Arica", "Arica"), "bytes"),
        ("BYTES", words("Arica") + b"\xff\xff\xff\xff", "row 1"),
        ("BYTES", b"\xff\xff\xff\xff" * 4, "row 0"),
        ("BYTES", words("Arica") + b"\x01\x00", "row 1"),
        ("BYTES", words(b"\xff", "Arica"), "UTF-8"),
        ("BYTES", words("", ""), "port"),
        ("BOOL", b"\x02\x01", "byte 2"),
    ],
)
async def test_bytes_that_do_not_fill_their_tensor_are_refused(
    client: httpx.AsyncClient, config: WorkerConfig, datatype: str, data: bytes, said: str
) -> None:
    name = {"BYTES": "port", "BOOL": "open"}.get(datatype, "visits")
    head = {"inputs": inputs(2, **{name: binary(name, datatype, 2, data)})}
    refused(await client.post(INFER, **as_bytes(head, data)), 400, name, said)
    assert protocols.predictions(config) == []


@pytest.mark.parametrize("size", ["-1", "x", "9" * 30, "", "1e3", "+5"])
async def test_a_wrong_header_size_is_refused(client: httpx.AsyncClient, size: str) -> None:
    body = json.dumps({"inputs": inputs()}).encode()
    refused(await client.post(INFER, content=body, headers={HEAD: size}), 400, HEAD)


async def test_bytes_of_no_tensor_are_refused(client: httpx.AsyncClient) -> None:
    refused(await client.post(INFER, **as_bytes({"inputs": inputs()}, b"abc")), 400, "3 bytes")
    sent = as_bytes({"inputs": inputs()})
    sent["headers"][HEAD] = str(len(sent["content"]) + 1)
    refused(await client.post(INFER, **sent), 400, HEAD)
    binary_without = {"inputs": inputs(visits=binary("visits", "FP64", 2, GOOD))}
    body = json.dumps(binary_without).encode() + GOOD
    refused(await client.post(INFER, content=body), 400)


async def test_limits_hold(base: ServingWorld, tmp_path: Path) -> None:
    config = base.config(
        spool=tmp_path / "spool", slot=tmp_path / "metrics", max_rows=5, max_body_bytes=4096
    )
    async with protocols.serving(config) as (_, client):
        assert (await client.post(INFER, json={"inputs": inputs(5)})).status_code == 200
        refused(await client.post(INFER, json={"inputs": inputs(6)}), 413, "6 rows", "max_rows")
        huge = inputs(visits=tensor("visits", "FP64", [], shape=[10**12, 1]))
        refused(await client.post(INFER, json={"inputs": huge}), 413, "max_rows")
        refused(await client.post(INFER, content=b" " * 10_000_000), 413, "max_body_kb")
        bomb = gzip.compress(b" " * 10_000_000)
        zipped = {"Content-Encoding": "gzip"}
        refused(await client.post(INFER, content=bomb, headers=zipped), 413, "max_body_kb")
        cut = gzip.compress(json.dumps({"inputs": inputs()}).encode())[:-9]
        refused(await client.post(INFER, content=cut, headers=zipped), 400, "gzip")


async def test_other_types_methods_paths_and_peers_get_the_same_form(
    client: httpx.AsyncClient, config: WorkerConfig
) -> None:
    text = {"Content-Type": "text/plain"}
    refused(await client.post(INFER, content=b"{}", headers=text), 415, "text/plain")
    refused(await client.get(INFER), 405, "POST")
    refused(await client.post("/v2"), 405, "GET")
    for path in ("/v2/models", "/v2/models/churn/config", "/v2/nothing", "/v2/repository/x"):
        refused(await client.get(path), 404, "/v2/health/live")
    refused(await client.post("/v2/models/nobody/infer", json={}), 404, "nobody", "churn")
    async with protocols.serving(config, peer="10.0.0.9") as (_, stranger):
        refused(await stranger.post(INFER, json={"inputs": inputs()}), 403, "10.0.0.9")
        assert (await stranger.get("/v2/health/ready")).status_code == 200


async def test_a_server_that_stops_is_not_ready(config: WorkerConfig) -> None:
    async with protocols.serving(config) as (app, client):
        await app.stop()
        refused(await client.get("/v2/health/ready"), 400, "stopping")
        refused(await client.get("/v2/models/churn/ready"), 400, "stopping")
        refused(await client.post(INFER, json={"inputs": inputs()}), 503, "stopping")
        assert (await client.get("/v2/health/live")).status_code == 200


async def test_errors_speak_spanish(client: httpx.AsyncClient) -> None:
    spanish = {"Accept-Language": "es"}
    wrong = {"inputs": inputs(visits=tensor("visits", "FP64", [1.0], shape=[2, 1]))}
    refused(await client.post(INFER, json=wrong, headers=spanish), 400, "se esperaba 2 valores")


async def test_requests_are_counted(client: httpx.AsyncClient) -> None:
    await client.post(INFER, json={"inputs": inputs()})
    text = (await client.get("/metrics")).text
    assert 'route="/v2/infer"' in text


def test_the_schema_of_these_tests_is_the_one_they_name() -> None:
    assert [one["name"] for one in SCHEMA] == ["visits", "calls", "port", "open", "since"]
